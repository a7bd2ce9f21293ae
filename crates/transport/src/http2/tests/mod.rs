mod heads;
mod raw;
mod stories;
