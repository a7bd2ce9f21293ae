//! The body of a request: kept, so that it can be sent twice, or streamed as it arrives.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_dialect::StaticKeyPlace;
use countersign_relay::{Relay, Upload};
use countersign_transport::RequestBody;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::problem::{ProblemCause, SidecarProblem};

/// The size of the longest body that is kept.
pub(crate) const LONGEST: usize = 64 * 1024;

/// How long to wait for the whole body. A body that takes longer is forwarded as it
/// arrives: the program may wait for an answer to its beginning.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request.
pub(crate) enum RequestContent {
    /// The whole body.
    Whole(Bytes),
    /// A body that is still arriving and cannot be sent twice.
    Passing(Upload),
}

impl RequestContent {
    pub(crate) async fn read(mut body: RequestBody, relay: &Relay) -> Result<Self, SidecarProblem> {
        if body.is_end_stream() {
            return Ok(Self::Whole(Bytes::new()));
        }
        if body.size_hint().lower() > LONGEST as u64 {
            return Ok(Self::Passing(relay.streaming(body)));
        }
        let (mut read, deadline) = (BytesMut::new(), Instant::now() + PATIENCE);
        while read.len() <= LONGEST {
            let Ok(frame) = timeout_at(deadline, body.frame()).await else {
                break;
            };
            match frame.transpose().map_err(cut_off)? {
                Some(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                None => return Ok(Self::Whole(read.freeze())),
            }
        }
        Ok(Self::Passing(relay.streaming(body).after(read.freeze())))
    }

    /// The body without a static key, if it can be read.
    pub(crate) fn without_key(self, place: Option<&StaticKeyPlace>) -> Self {
        match (self, place) {
            (Self::Whole(body), Some(place)) => {
                Self::Whole(place.strip_body(&body).unwrap_or(body))
            }
            (content, _) => content,
        }
    }

    /// The body to send, and the same body to send again if it could be kept.
    pub(crate) fn into_upload(self) -> (Upload, Option<Bytes>) {
        match self {
            Self::Whole(body) => (Upload::whole(body.clone()), Some(body)),
            Self::Passing(upload) => (upload, None),
        }
    }
}

fn cut_off(error: impl std::fmt::Display) -> SidecarProblem {
    SidecarProblem::new(ProblemCause::CutOff, error.to_string())
}
