//! What the requests of one run may cost.

use std::time::Duration;

/// Caps on the requests of one run. A request that breaches one ends in an error; none can be switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Requests in a run, also those that fail. Default: 1,000,000.
    pub requests: u64,
    /// Requests in flight, until their response is read or dropped. Default: 128, twice the largest window of a reader.
    pub in_flight: usize,
    /// Bytes of all responses of a run, after decompression. Default: 1 TiB.
    pub received: u64,
    /// Bytes of all request bodies of a run. Default: 16 GiB.
    pub sent: u64,
    /// Bytes of a URL. Default: 32 KiB.
    pub url_size: usize,
    /// Bytes of the body of a request, which is held in memory. Default: 16 MiB.
    pub request_size: usize,
    /// Bytes of the headers of a request or response, counted as HTTP/2 does. Default: 64 KiB.
    pub header_size: usize,
    /// Bytes of the body of a response, after decompression. Default: 64 MiB.
    pub response_size: u64,
    /// Time for name resolution, connection and TLS handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// Time from a request to its response's headers. Default: 60 s.
    pub first_byte_timeout: Duration,
    /// Time between two pieces of a response's body, while the connector waits for one. Default: 30 s.
    pub between_bytes_timeout: Duration,
    /// Time from a request to the end of its response, while the connector waits for it. Default: 300 s.
    pub total_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests: 1_000_000,
            in_flight: 128,
            received: 1 << 40,
            sent: 16 << 30,
            url_size: 32 << 10,
            request_size: 16 << 20,
            header_size: 64 << 10,
            response_size: 64 << 20,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            between_bytes_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
        }
    }
}
