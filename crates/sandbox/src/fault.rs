//! Faults: what the vendor, or the network on the way to it, does to a client.

use std::time::Duration;

use countersign_domain::TokenOperation;

/// Something that goes wrong, with which requests, and how often: once, unless
/// it is told otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VendorFault {
    pub(crate) kind: FaultKind,
    pub(crate) on: Option<TokenOperation>,
    pub(crate) often: FaultFrequency,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    LostReply,
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    Delay(Duration),
    Cut,
    Skew(ClockSkew),
    Revoke(RevocationTarget),
    Forbid,
}

/// How often it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FaultFrequency {
    Times(u32),
    Rate(f64),
}

/// By how much the vendor's clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSkew {
    /// It shows a later time.
    Ahead(Duration),
    /// It shows an earlier time.
    Behind(Duration),
}

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// The session of the request; everything, where it has none.
    Session,
    /// Everything of the account.
    Account,
}

impl VendorFault {
    /// The request is acted upon, and the connection closed without a byte. The
    /// reply to a HEAD request has no body to wait for, and is not lost.
    pub const fn lost_reply() -> Self {
        Self::new(FaultKind::LostReply)
    }

    /// The request is not acted upon, and answered with this status in the
    /// dialect's spelling.
    pub const fn status(status: u16) -> Self {
        Self::new(FaultKind::Status {
            status,
            retry_after: None,
        })
    }

    /// The request is acted upon at once, and answered so much later, by the real
    /// clock.
    pub const fn delay(by: Duration) -> Self {
        Self::new(FaultKind::Delay(by))
    }

    /// The request is acted upon, and the connection closed after the head and
    /// half of the body.
    pub const fn cut() -> Self {
        Self::new(FaultKind::Cut)
    }

    /// The clock that the reply tells, in `Date` and in its body, is wrong. Tokens
    /// live as before.
    pub const fn skew(by: ClockSkew) -> Self {
        Self::new(FaultKind::Skew(by))
    }

    /// Just before the request, what it belongs to is revoked.
    pub const fn revoke(what: RevocationTarget) -> Self {
        Self::new(FaultKind::Revoke(what))
    }

    /// The request is refused as one from an address that is not allowed.
    pub const fn forbid() -> Self {
        Self::new(FaultKind::Forbid)
    }

    const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            on: None,
            often: FaultFrequency::Times(1),
        }
    }

    /// With requests for this operation only.
    #[must_use]
    pub const fn on(mut self, operation: TokenOperation) -> Self {
        self.on = Some(operation);
        self
    }

    /// With so many requests.
    #[must_use]
    pub const fn times(mut self, count: u32) -> Self {
        self.often = FaultFrequency::Times(count);
        self
    }

    /// With this part of the requests, 0 to 1, until it is cleared. Which ones is
    /// a function of the sandbox's seed.
    #[must_use]
    pub const fn rate(mut self, rate: f64) -> Self {
        self.often = FaultFrequency::Rate(rate);
        self
    }

    /// A status that says when to come again.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        if let FaultKind::Status { retry_after, .. } = &mut self.kind {
            *retry_after = Some(wait);
        }
        self
    }

    /// The name of what goes wrong.
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl FaultKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LostReply => "lost_reply",
            Self::Status { .. } => "status",
            Self::Delay(_) => "delay",
            Self::Cut => "cut",
            Self::Skew(_) => "skew",
            Self::Revoke(_) => "revoke",
            Self::Forbid => "forbid",
        }
    }
}
