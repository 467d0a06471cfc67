//! The reasons why a request gave no response, as texts.

use wasmtime_wasi_http::Error as Code;

/// The name of a reason, and the size that it tells, as `HttpResponseBodySize(1048577)`. What else it tells is left out.
pub(super) fn text(code: &Code) -> String {
    let debug = format!("{code:?}");
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let size = debug.split_once("(Some(").and_then(|(_, size)| size.split(')').next());
    match size.filter(|size| size.parse::<u64>().is_ok()) {
        Some(size) => format!("{name}({size})"),
        None => name.to_owned(),
    }
}

/// The reason of this name.
pub(super) fn parse(text: &str) -> Code {
    let (name, size) = text.split_once('(').unwrap_or((text, ""));
    let size: Option<u64> = size.trim_end_matches(')').parse().ok();
    let small = size.and_then(|size| u32::try_from(size).ok());
    match name {
        "DnsTimeout" => Code::DnsTimeout,
        "DnsError" => Code::DnsError { rcode: None, info_code: None },
        "DestinationNotFound" => Code::DestinationNotFound,
        "DestinationUnavailable" => Code::DestinationUnavailable,
        "DestinationIpProhibited" => Code::DestinationIpProhibited,
        "DestinationIpUnroutable" => Code::DestinationIpUnroutable,
        "ConnectionRefused" => Code::ConnectionRefused,
        "ConnectionTerminated" => Code::ConnectionTerminated,
        "ConnectionTimeout" => Code::ConnectionTimeout,
        "ConnectionReadTimeout" => Code::ConnectionReadTimeout,
        "ConnectionWriteTimeout" => Code::ConnectionWriteTimeout,
        "ConnectionLimitReached" => Code::ConnectionLimitReached,
        "TlsProtocolError" => Code::TlsProtocolError,
        "TlsCertificateError" => Code::TlsCertificateError,
        "HttpRequestDenied" => Code::HttpRequestDenied,
        "HttpRequestLengthRequired" => Code::HttpRequestLengthRequired,
        "HttpRequestBodySize" => Code::HttpRequestBodySize(size),
        "HttpRequestMethodInvalid" => Code::HttpRequestMethodInvalid,
        "HttpRequestUriInvalid" => Code::HttpRequestUriInvalid,
        "HttpRequestUriTooLong" => Code::HttpRequestUriTooLong,
        "HttpRequestHeaderSectionSize" => Code::HttpRequestHeaderSectionSize(small),
        "HttpResponseIncomplete" => Code::HttpResponseIncomplete,
        "HttpResponseHeaderSectionSize" => Code::HttpResponseHeaderSectionSize(small),
        "HttpResponseBodySize" => Code::HttpResponseBodySize(size),
        "HttpResponseContentCoding" => Code::HttpResponseContentCoding(None),
        "HttpResponseTransferCoding" => Code::HttpResponseTransferCoding(None),
        "HttpResponseTimeout" => Code::HttpResponseTimeout,
        "HttpProtocolError" => Code::HttpProtocolError,
        "ConfigurationError" => Code::ConfigurationError,
        _ => Code::InternalError(Some(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_comes_back_as_it_was() {
        let codes = [
            Code::DnsError { rcode: None, info_code: None },
            Code::ConnectionRefused,
            Code::ConnectionReadTimeout,
            Code::HttpResponseTimeout,
            Code::HttpResponseIncomplete,
            Code::HttpRequestDenied,
            Code::HttpResponseBodySize(Some(65)),
            Code::HttpResponseBodySize(None),
            Code::HttpRequestHeaderSectionSize(Some(7)),
            Code::HttpResponseContentCoding(None),
        ];
        for code in codes {
            assert_eq!(format!("{:?}", parse(&text(&code))), format!("{code:?}"));
        }
        // One that is not known is another one, and the same one from then on.
        let once = text(&parse(&text(&Code::LoopDetected)));
        assert_eq!((once.as_str(), text(&parse(&once)).as_str()), ("InternalError", "InternalError"));
    }
}
