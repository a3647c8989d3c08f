//! The `openai-chat` family: `POST {base_url}/chat/completions` (`spec/wire.md`, 4.1).

use std::error::Error as _;
use std::sync::Once;

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::BytesMut;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Answer, Call, Upstream, within};
use crate::config::{Timeouts, UpstreamConfig};
use crate::fault::{Fault, FaultClass};

/// Most bytes of an error's body that are read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// An upstream that speaks OpenAI's chat completions.
pub(super) struct OpenAiChat {
    client: reqwest::Client,
    url: reqwest::Url,
    authorization: Option<HeaderValue>,
    timeouts: Timeouts,
}

impl OpenAiChat {
    /// Prepares a connection pool; connects to nothing.
    pub(super) fn new(config: &UpstreamConfig) -> anyhow::Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // An error means that one is installed already, which will do.
            rustls::crypto::ring::default_provider().install_default().ok();
        });
        let url = format!("{}/chat/completions", config.base_url)
            .parse::<reqwest::Url>()
            .with_context(|| format!("base_url {}", config.base_url))?;
        let mut client = reqwest::Client::builder()
            .connect_timeout(config.timeouts.connect)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if url.scheme() == "http" {
            // Plain HTTP needs no root certificates, which a small container may lack.
            client = client.tls_certs_only([]);
        }
        let authorization = match &config.api_key {
            Some(key) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
                    .context("the key has characters that a header cannot carry")?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let client = client.build().context("cannot build an HTTP client")?;
        Ok(Self { client, url, authorization, timeouts: config.timeouts })
    }

    async fn send(&self, call: Call) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if call.streamed { "text/event-stream" } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Ok(id) = HeaderValue::try_from(call.request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        let limit = if call.streamed { call.left.min(self.timeouts.headers) } else { call.left };
        let sent = self.client.post(self.url.clone()).headers(headers).body(call.body).send();
        let response = within(limit, "its status line", sent).await?.map_err(|e| fault_of(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = response.bytes_stream().map_err(|error| fault_of(&error)).boxed();
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let mut text = BytesMut::new();
        let read = async {
            while let Some(Ok(piece)) = body.next().await {
                text.extend_from_slice(&piece);
                if text.len() > MAX_ERROR_BYTES {
                    break;
                }
            }
        };
        within(limit, "the end of its error", read).await.ok();
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        Err(Fault {
            retry_after: retry_after.map(str::to_owned),
            ..Fault::of_answer(status, &text)
        })
    }
}

impl Upstream for OpenAiChat {
    fn ask(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.send(call))
    }
}

/// The class of a failed connection. The message leaves out the URL, which may hold a key.
fn fault_of(error: &reqwest::Error) -> Fault {
    let class = if error.is_timeout() { FaultClass::Timeout } else { FaultClass::Transport };
    let mut message = if error.is_connect() {
        "cannot connect to the upstream".to_owned()
    } else {
        "the connection to the upstream broke".to_owned()
    };
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.source().is_none() {
            message = format!("{message}: {inner}");
        }
        source = inner.source();
    }
    Fault::new(class, message)
}
