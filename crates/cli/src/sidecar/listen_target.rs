//! `PROFILE[=ADDR]`, and the default address of a profile.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use countersign_client::Profile;
use countersign_sidecar::{AddressFault, SidecarAddress};

use crate::argument_fault::ArgumentFault;
use crate::exit::Failure;

/// A profile, and where to listen for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenTarget {
    pub(super) profile: String,
    pub(super) address: Option<SidecarAddress>,
}

impl FromStr for ListenTarget {
    type Err = ArgumentFault;

    fn from_str(text: &str) -> Result<Self, ArgumentFault> {
        let (profile, address) = match text.split_once('=') {
            Some((profile, address)) => (profile, Some(address)),
            None => (text, None),
        };
        let address = address.map(str::parse).transpose();
        Ok(Self {
            profile: profile.to_owned(),
            address: address.map_err(|fault: AddressFault| {
                ArgumentFault::new(fault.to_string()).with_help(fault.help())
            })?,
        })
    }
}

impl ListenTarget {
    /// Where to listen: what the command line says, else the profile, else a file
    /// in the runtime directory.
    pub(super) fn address(&self, profile: &Profile) -> Result<SidecarAddress, Failure> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        match &profile.listen {
            Some(listen) => listen.parse().map_err(|fault: AddressFault| {
                Failure::usage(format!("listen of profile {}: {fault}", profile.name))
                    .with_help(fault.help())
            }),
            None => in_runtime_directory(&profile.name),
        }
    }
}

/// What systemd gives a service, or a user's session.
fn in_runtime_directory(name: &str) -> Result<SidecarAddress, Failure> {
    let variable = |name| std::env::var_os(name).filter(|it| !it.is_empty());
    let of_service = variable("RUNTIME_DIRECTORY").map(PathBuf::from);
    let of_user = || Some(PathBuf::from(variable("XDG_RUNTIME_DIR")?).join("countersign"));
    let directory = of_service.or_else(of_user).ok_or_else(|| {
        Failure::usage("there is no runtime directory (XDG_RUNTIME_DIR)").with_help(format!(
            "say where to listen, as in {name}=/path/to/{name}.sock or {name}=127.0.0.1:9001"
        ))
    })?;
    if !directory.exists() {
        fs::create_dir_all(&directory)
            .and_then(|()| fs::set_permissions(&directory, Permissions::from_mode(0o700)))
            .map_err(|error| {
                Failure::failed(format!("{} cannot be made: {error}", directory.display()))
            })?;
    }
    Ok(SidecarAddress::File(directory.join(format!("{name}.sock"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_may_name_where_to_listen() {
        let target = |text: &str| text.parse::<ListenTarget>().unwrap();
        assert_eq!(target("pay").address, None);
        let shown = |text: &str| target(text).address.unwrap().to_string();
        assert_eq!(shown("pay=127.0.0.1:9001"), "http://127.0.0.1:9001");
        assert_eq!(shown("pay=/run/a=b.sock"), "unix:/run/a=b.sock");
        assert!("pay=0.0.0.0:9001".parse::<ListenTarget>().is_err());
        assert!("pay=".parse::<ListenTarget>().is_err());
    }
}
