#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| spile_fuzz::shaping(data));
