//! The file of an admin key, as the server and operator commands read it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use countersign_client::NamedFile;
use countersign_dialect::Secret;

use crate::exit::Failure;

/// The shortest admin key that is taken; those that are generated are longer.
const LEAST: usize = 16;
/// The longest admin key that is sent.
const MOST: usize = 256;

/// The admin key in `file` of a server; `None` if there is no such file. One that is
/// short enough to be guessed is refused.
pub(crate) fn stored_key(file: &Path) -> Result<Option<Secret>, Failure> {
    let key = read(file)?;
    if key.as_ref().is_some_and(|key| key.expose().len() < LEAST) {
        return Err(Failure::usage(format!(
            "the admin key {} is shorter than {LEAST} characters",
            file.display()
        ))
        .with_help("delete it: the next start of the server makes a new one"));
    }
    Ok(key)
}

/// The admin key in `file`; `None` if there is no such file. One that others can
/// read is refused, as a master key is.
pub(crate) fn read(file: &Path) -> Result<Option<Secret>, Failure> {
    let shown = file.display();
    let unreadable = |error| Failure::usage(format!("{shown} cannot be read: {error}"));
    let opened = match NamedFile::key(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if opened.metadata().permissions().mode() & 0o077 != 0 {
        return Err(
            Failure::usage(format!("others can read the admin key in {shown}")).with_help(format!(
                "run `chmod 600 {shown}`; if somebody may have read it, delete the file and start \
                 the server again, which makes a new key"
            )),
        );
    }
    let text = opened.text(NamedFile::LARGEST_SECRET).map_err(unreadable)?;
    let key = text.trim();
    if !(1..=MOST).contains(&key.len()) || key.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "{shown} does not hold an admin key, which is one line without spaces, of at most \
             {MOST} characters"
        ))
        .with_help("delete it: a server that finds no such file makes a new key"));
    }
    Ok(Some(Secret::from(key)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_guess_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("admin.key");
        assert!(read(&file).unwrap().is_none());
        let write = |text: &str, mode| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            stored_key(&file)
        };
        let good = "csa_0123456789abcdef\n";
        let key = write(good, 0o600).unwrap().unwrap();
        assert_eq!(key.expose(), good.trim());
        assert!(write(good, 0o400).is_ok());
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            let refused = write(good, mode).unwrap_err().to_string();
            assert!(refused.contains("chmod 600"), "{mode:o}: {refused}");
        }
        let long = "x".repeat(MOST + 1);
        for bad in [
            "",
            "\n",
            "h",
            "fifteen-letters",
            "two words of a key",
            long.as_str(),
        ] {
            assert!(write(bad, 0o600).is_err(), "{bad}");
        }
    }
}
