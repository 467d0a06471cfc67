//! The mock API.

fn main() {}
