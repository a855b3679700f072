//! Dependency descriptors: the first byte is the length of a descriptor that may bring a structure, the rest is read
//! against it as the next one. What was read is written and read again.
#![no_main]

use lkops::wire::dependency::{BYTES_MAX, Descriptor, Structure, write};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at(rest.len().min(usize::from(*length)));
    let known = check(first, None).and_then(|descriptor| descriptor.structure);
    check(second, known.as_deref());
});

fn check(bytes: &[u8], known: Option<&Structure>) -> Option<Descriptor> {
    let descriptor = Descriptor::parse(bytes, known).ok()?;
    if let Some(structure) = &descriptor.structure {
        assert!((1..=64).contains(&structure.templates.len()) && (1..=32).contains(&structure.decode_targets.len()));
    }
    let mut out = [0xFF; BYTES_MAX];
    let written = write(&mut out, &descriptor, known).expect("a descriptor that was read");
    assert_eq!(Descriptor::parse(&out[..written], known).as_ref(), Ok(&descriptor));
    Some(descriptor)
}
