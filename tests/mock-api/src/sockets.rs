//! A listening socket, and the connections that it takes.

use crate::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// What answers the requests of all connections.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// Told of each connection.
    fn connected(&self) {}

    /// The answer to a request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// A server on 127.0.0.1, on threads of its own: it serves blocking and asynchronous tests alike, and stops when it is
/// dropped.
pub(crate) struct Listening {
    base_url: String,
    /// Taken by `drop`.
    runtime: Option<Runtime>,
}

impl Listening {
    /// Listens on a port; 0 is any free one. Fails where the port is taken.
    pub(crate) fn start(port: u16, service: impl Service) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("mock-api").enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(serve(listener, service));
        Ok(Self { base_url, runtime: Some(runtime) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // The only way that is allowed inside another runtime, too.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes connections until the runtime ends.
async fn serve(listener: tokio::net::TcpListener, service: impl Service) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, service.clone()))),
            // Out of file descriptors, say: others are closed meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One connection, HTTP/1.1 or HTTP/2 by its first bytes.
async fn converse(stream: TcpStream, service: impl Service) {
    service.connected();
    // Without it, small answers wait for the client's acknowledgements. A failure is that of a closed connection.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    // Fails where the client leaves, or where a body breaks off on request.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
}
