use std::process::ExitCode;
pub(crate) const VICTIM: &str = "parent-kill-victim";
pub(crate) struct Plan;
impl Plan { pub(crate) fn from_arguments(_: &[String]) -> Result<Self, String> { Ok(Self) } }
pub(crate) fn run(_: &Plan) -> ExitCode { ExitCode::SUCCESS }
pub(crate) fn be_the_victim(_: &[String]) -> Result<ExitCode, String> { Ok(ExitCode::SUCCESS) }
