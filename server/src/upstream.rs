//! Asking one upstream. One file per wire family.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::config::{Config, Timeouts, UpstreamConfig};
use crate::fault::{Fault, FaultClass};

mod openai_chat;

use openai_chat::OpenAiChat;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The body, ready to send.
    pub body: Bytes,
    /// Whether the answer is to be streamed.
    pub streamed: bool,
    /// What is left of the request's total time.
    pub left: Duration,
    /// The request's id, passed on.
    pub request_id: String,
}

/// An answer whose status was a success.
pub struct Answer {
    /// The upstream's headers, hop-by-hop ones included.
    pub headers: HeaderMap,
    /// The body as it arrives; dropping it cancels the call.
    pub body: BoxStream<'static, Result<Bytes, Fault>>,
}

/// A way to reach models.
pub trait Upstream: Send + Sync {
    /// Sends the call and waits for a status line; anything but a success is a fault.
    fn ask(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>>;
}

/// An upstream and its time limits.
pub struct Deployment {
    /// The connection.
    pub upstream: Box<dyn Upstream>,
    /// Its limits.
    pub timeouts: Timeouts,
}

/// The upstreams of a configuration, by name.
///
/// # Errors
///
/// If a client cannot be built, for example without root certificates.
pub fn all(config: &Config) -> anyhow::Result<BTreeMap<String, Deployment>> {
    let deployment = |(name, config): (&String, &UpstreamConfig)| {
        let upstream = Box::new(OpenAiChat::new(config)?);
        Ok((name.clone(), Deployment { upstream, timeouts: config.timeouts }))
    };
    config.upstreams.iter().map(deployment).collect()
}

/// Waits no longer than `limit` for something of the upstream.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, future).await.map_err(|_| {
        let message = format!("the upstream did not send {what} within {} ms", limit.as_millis());
        Fault::new(FaultClass::Timeout, message)
    })
}

/// Headers of an answer that belong to one connection or would be wrong on ours.
pub(crate) fn is_dropped(name: &HeaderName) -> bool {
    const DROPPED: [HeaderName; 12] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::DATE,
        header::PROXY_AUTHENTICATE,
        header::SERVER,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    DROPPED.contains(name)
}

/// The whole body of an answer.
pub(crate) async fn read_all(answer: &mut Answer, limit: usize) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > limit {
            let message = format!("the answer must have at most {limit} bytes, got more");
            return Err(Fault::new(FaultClass::Provider, message));
        }
    }
    Ok(bytes.freeze())
}
