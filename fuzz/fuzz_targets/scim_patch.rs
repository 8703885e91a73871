#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| gatewright_properties::scim_patch(text));
