mod buffers;
mod heads;
pub(crate) mod raw;
mod stories;
