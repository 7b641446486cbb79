//! Registries that constructors fill before `main`, as the crates inventory and typetag do: tasks find them filled.

use std::sync::Mutex;

use pool_core::Builder;

use crate::backends::pool;

claims! { on_each_backend:
    d08_a_task_finds_a_registry_that_constructors_fill,
}

static REGISTRY: Mutex<Vec<&str>> = Mutex::new(Vec::new());

extern "C" fn register() {
    REGISTRY.lock().unwrap().push("plugin");
}

// SAFETY: the section is a list of functions to be called before `main`, which this is.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = register;

fn registered() -> Vec<String> {
    REGISTRY.lock().unwrap().iter().map(ToString::to_string).collect()
}

fn d08_a_task_finds_a_registry_that_constructors_fill(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(registered, ()).unwrap().result().unwrap(), ["plugin"]);
}
