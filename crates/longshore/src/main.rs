mod config;
mod log;

fn main() {}
