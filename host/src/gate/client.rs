//! The HTTP client: pooled connections to addresses that were checked.

use super::address;
use super::origin::Origin;
use crate::limits::Limits;
use crate::{Class, Error, Result};
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

type BoxError = Box<dyn StdError + Send + Sync>;

/// How long an idle connection is kept. Shorter than the 60 s after which common servers and load balancers close theirs.
const IDLE: Duration = Duration::from_secs(50);

/// How many headers a response over HTTP/1.1 may have; the client's own default.
const MAX_HEADERS: usize = 100;

/// Sends requests over pooled connections, HTTP/1.1 or HTTP/2. Make one for each tenant and keep it; clones share the pool.
///
/// The address of a connection is checked between name resolution and connecting, so a name cannot change its address in
/// between. A resolver is told a host only, and not a port, but operators allow private addresses for an origin. So there
/// are two clients: one that refuses private addresses, and one that does not and that only sends to origins for which the
/// operator allows them. They share no connection.
#[derive(Clone, Debug)]
pub struct Client {
    public: reqwest::Client,
    private: reqwest::Client,
    /// Who resolves names, where requests go through a proxy.
    proxied: Option<Arc<dyn Names>>,
}

/// What a client is made with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Certificate authorities that are trusted besides those that the machine trusts.
    pub roots: Vec<CertificateDer<'static>>,
    /// The proxy that all requests go through: `http://host:port`. It resolves the names of hosts itself, so what is checked
    /// here (addresses in URLs, and names that this machine knows) is not all that it could reach. Its own address may be a
    /// private one.
    pub proxy: Option<Url>,
    /// Who resolves the names of hosts.
    pub names: Arc<dyn Names>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { roots: Vec::new(), proxy: None, names: Arc::new(SystemNames) }
    }
}

/// Resolves the names of hosts.
pub trait Names: Send + Sync + fmt::Debug {
    /// The addresses of a host, none of them checked.
    fn addresses(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own way.
#[derive(Debug)]
struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

impl Client {
    /// A client with the machine's trusted certificates and names, and without a proxy.
    pub fn new(limits: &Limits) -> Result<Self> {
        Self::with(limits, ClientOptions::default())
    }

    /// A client that is made with more. Proxies that the environment names are not used.
    pub fn with(limits: &Limits, options: ClientOptions) -> Result<Self> {
        let ClientOptions { roots, proxy, names } = options;
        let tls = tls(roots).map_err(|error| Error::new(Class::Config, format!("failed to set up TLS: {error}")))?;
        let failed = |error| Error::new(Class::Internal, format!("failed to set up the HTTP client: {error}"));
        let build = |private| {
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                // A proxy is the only host that a client with one resolves.
                .dns_resolver(Resolver { private: private || proxy.is_some(), names: names.clone() })
                // Every hop is the connector's request, and passes the gate.
                .redirect(reqwest::redirect::Policy::none())
                // The connector decides what to repeat.
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("spile/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.connect_timeout)
                .connector_layer(ConnectTimeout)
                .pool_idle_timeout(IDLE)
                .tcp_nodelay(true)
                .http1_max_headers(MAX_HEADERS)
                .http2_max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
                .http2_adaptive_window(true)
                // What the environment says would choose the address.
                .no_proxy();
            let builder = match &proxy {
                Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(failed)?),
                None => builder,
            };
            builder.build().map_err(failed)
        };
        Ok(Self { public: build(false)?, private: build(true)?, proxied: proxy.is_some().then_some(names) })
    }

    /// Where a proxy resolves the name of a host: the first refused address that this machine knows for it.
    pub(super) async fn refused_behind_proxy(&self, origin: &Origin) -> Option<Refused> {
        let names = self.proxied.as_ref().filter(|_| origin.address().is_none())?;
        // A name that only the proxy knows is its matter.
        let found = names.addresses(origin.host()).await.ok()?;
        found.into_iter().find_map(|address| Some(Refused { address, network: address::refusal(address)? }))
    }

    /// Sends a request to an origin that may have a private address or not. A connection for it is made within `connect`.
    pub(super) async fn send(
        &self,
        private: bool,
        connect: Duration,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let client = if private { &self.private } else { &self.public };
        CONNECT.scope(connect, client.execute(request)).await
    }
}

tokio::task_local! {
    /// How long the request that is being sent gives its connection. The client has one such time for all requests, but makes a
    /// connection in the task of the request that wants it.
    static CONNECT: Duration;
}

/// Gives up a connection that takes longer than its request permits.
#[derive(Clone)]
struct ConnectTimeout;

#[derive(Clone)]
struct TimedConnector<S>(S);

impl<S> Layer<S> for ConnectTimeout {
    type Service = TimedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TimedConnector(inner)
    }
}

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R, Error = BoxError, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.0.call(request);
        let Ok(limit) = CONNECT.try_with(|limit| *limit) else { return Box::pin(connecting) };
        Box::pin(async move {
            let late = |_| BoxError::from(io::Error::from(io::ErrorKind::TimedOut));
            tokio::time::timeout(limit, connecting).await.map_err(late)?
        })
    }
}

/// TLS 1.2 and 1.3 with `ring`, given by hand so that it does not matter what else the program installs.
///
/// Without roots of their own all clients share what the machine trusts, which takes milliseconds and a megabyte to read; each
/// has its own memory of sessions.
fn tls(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    static OF_THE_MACHINE: Mutex<Option<ClientConfig>> = Mutex::new(None);
    if !roots.is_empty() {
        return tls_with(roots);
    }
    let mut shared = OF_THE_MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = match shared.as_ref() {
        Some(config) => config.clone(),
        None => shared.insert(tls_with(roots)?).clone(),
    };
    config.resumption = Resumption::default();
    Ok(config)
}

fn tls_with(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let no_roots = roots.is_empty();
    let mut config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
        // A machine that trusts nobody can still send plain requests; to TLS servers it says that it does not trust them.
        Err(rustls::Error::General(_)) if no_roots => {
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
        Err(error) => return Err(error),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Begins to read what the machine trusts, on another thread: a client that is made meanwhile waits for that, and not for all of it.
pub(crate) fn read_roots() {
    // Of the runtime, which has it for other work afterwards.
    drop(tokio::task::spawn_blocking(|| tls(Vec::new()).map(drop)));
}

/// A name that has refused addresses only.
#[derive(Debug)]
pub(super) struct Refused {
    pub address: IpAddr,
    pub network: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {} is refused ({})", self.address, self.network)
    }
}

impl StdError for Refused {}

/// A resolver without refused addresses.
struct Resolver {
    private: bool,
    names: Arc<dyn Names>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        let found = self.names.addresses(name.as_str());
        Box::pin(async move {
            let found = found.await?.into_iter().map(|address| SocketAddr::new(address, 0));
            let allowed = if private { found.collect() } else { allowed(found)? };
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses that are not refused. Fails if there are none but refused ones.
fn allowed(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused = None;
    let allowed: Vec<_> = found
        .filter(|address| match address::refusal(address.ip()) {
            Some(network) => {
                refused.get_or_insert(Refused { address: address.ip(), network });
                false
            }
            None => true,
        })
        .collect();
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn refused_addresses_are_left_out_of_a_name_and_a_name_of_only_such_is_refused() {
        let left = allowed(addresses(&["10.0.0.1", "8.8.8.8", "::1"]).into_iter()).unwrap();
        assert_eq!(left, addresses(&["8.8.8.8"]));
        let refused = allowed(addresses(&["169.254.169.254", "::1"]).into_iter()).unwrap_err();
        assert_eq!(refused.to_string(), "the address 169.254.169.254 is refused (cloud metadata)");
        assert_eq!(allowed(std::iter::empty()).unwrap(), []);
    }

    #[tokio::test]
    async fn the_resolver_refuses_a_name_of_this_machine() {
        let resolve =
            |private| Resolver { private, names: Arc::new(SystemNames) }.resolve("localhost".parse().unwrap());
        let Err(error) = resolve(false).await else { panic!("localhost was resolved") };
        assert_eq!(error.downcast_ref::<Refused>().unwrap().network, "loopback");
        assert!(resolve(true).await.unwrap().count() > 0);
    }
}
