//! Pages over HTTP/1.1, some of them in flight.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

/// As many as Spile has without a setting.
const IN_FLIGHT: usize = 8;

/// How many pages there are.
#[derive(Deserialize)]
struct Count {
    pages: u64,
}

/// All pages in their order: the first one tells how many there are.
pub async fn pages(base_url: &str) -> impl Stream<Item = Bytes> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let base_url = base_url.to_owned();
    let get = move |number: u64| {
        let response = client.get(format!("{base_url}/records?page={number}").parse().unwrap());
        async move {
            let response = response.await.unwrap();
            assert!(response.status().is_success(), "page {number}: {}", response.status());
            response.into_body().collect().await.unwrap().to_bytes()
        }
    };
    let first = get(1).await;
    let count: Count = sonic_rs::from_slice(&first).unwrap();
    stream::once(async { first }).chain(stream::iter(2..=count.pages).map(get).buffered(IN_FLIGHT))
}
