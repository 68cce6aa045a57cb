mod config;
mod log;
mod plane;

fn main() {}
