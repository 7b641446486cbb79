//! The build id that the linker may have put into the executable: changed by every change of a byte.
//!
//! Keeps true: reads only what the program's own headers say is mapped. Never: fails; an executable without one has none.

use std::ffi::{c_int, c_void};
use std::slice;

use libc::{Elf64_Phdr, dl_phdr_info};

/// The owner and the kind of the note that holds it.
const OWNER: &[u8] = b"GNU\0";
const KIND: u32 = 3;

/// The build id of the loaded file that contains an address.
pub(super) fn build_id(address: usize) -> Option<&'static [u8]> {
    let mut search = Search { address, found: None };
    // SAFETY: the callback has the signature that is asked for, and gets `search` back, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

struct Search {
    address: usize,
    found: Option<&'static [u8]>,
}

/// Called for each loaded file; a result other than 0 ends the search.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: the loader hands out a valid description, and `build_id` a Search that nobody else uses meanwhile.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    if info.dlpi_phnum == 0 {
        return 0;
    }
    // SAFETY: the loader says that so many headers lie there.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let base = info.dlpi_addr as usize;
    if !headers.iter().any(|header| header.p_type == libc::PT_LOAD && segment(base, header).contains(&search.address)) {
        return 0;
    }
    search.found = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|header| {
        let segment = segment(base, header);
        // SAFETY: this file contains code of ours and stays loaded as long as that runs; a note's segment lies within
        // one that is loaded, is readable, and nobody writes it.
        find_in_notes(unsafe { slice::from_raw_parts(segment.start as *const u8, segment.len()) })
    });
    1
}

fn segment(base: usize, header: &Elf64_Phdr) -> std::ops::Range<usize> {
    let start = base.wrapping_add(header.p_vaddr as usize);
    start..start.saturating_add(header.p_memsz as usize)
}

/// Walks notes: three numbers (length of the owner, length of the text, kind), the owner, the text, each padded to 4.
fn find_in_notes(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let (owner_length, rest) = number(notes)?;
        let (text_length, rest) = number(rest)?;
        let (kind, rest) = number(rest)?;
        let (owner, rest) = padded(rest, owner_length)?;
        let (text, rest) = padded(rest, text_length)?;
        if (owner, kind) == (OWNER, KIND) {
            return Some(text);
        }
        notes = rest;
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_ne_bytes(*number), rest))
}

fn padded(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let length = length as usize;
    let text = bytes.get(..length)?;
    Some((text, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_note_is_found_among_others() {
        let note = |owner: &[u8], kind: u32, text: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend((owner.len() as u32).to_ne_bytes());
            bytes.extend((text.len() as u32).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            for part in [owner, text] {
                bytes.extend(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let notes =
            [note(b"stapsdt\0", 3, b"other"), note(b"GNU\0", 1, b"abi"), note(b"GNU\0", 3, b"identity")].concat();
        assert_eq!(find_in_notes(&notes), Some(&b"identity"[..]));
        for length in 0..notes.len() - 4 {
            assert_eq!(find_in_notes(&notes[..length]), None, "{length}");
        }
    }

    #[test]
    fn an_address_of_nobody_has_none() {
        assert_eq!(build_id(1), None);
    }
}
