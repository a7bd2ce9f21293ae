//! Why a store, its keys or the clock keep a command from its work: each a failure that says apart
//! what to do about it.

use countersign_server::api::ApiFault;
use countersign_server::rewrap::RewrapFault;
use countersign_store::clock::ClockBehindBuild;
use countersign_store::seal::MasterKeyError;
use countersign_store::{MasterKeyProofError, OpenError};

use crate::exit::Failure;

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::usage(&error).with_help_of(error.help())
    }
}

impl From<MasterKeyError> for Failure {
    fn from(error: MasterKeyError) -> Self {
        Self::usage(&error).with_help_of(error.help())
    }
}

impl From<MasterKeyProofError> for Failure {
    fn from(error: MasterKeyProofError) -> Self {
        Self::usage(error).with_help_of(error.help())
    }
}

impl From<RewrapFault> for Failure {
    fn from(fault: RewrapFault) -> Self {
        Self::usage(&fault).with_help_of(fault.help())
    }
}

impl From<ClockBehindBuild> for Failure {
    fn from(error: ClockBehindBuild) -> Self {
        Self::usage(error).with_help(error.help())
    }
}

impl From<ApiFault> for Failure {
    fn from(fault: ApiFault) -> Self {
        Self::usage(&fault).with_help_of(fault.help())
    }
}
