//! An API that a test describes as data: collections in any style of pagination, answers word for word, credentials that
//! are asked for, and a record of every request.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mock_api::scripted::{Script, ScriptedApi};
//!
//! let script: Script = serde_json::from_value(serde_json::json!({
//!     "auth": {"bearer": "sesame"},
//!     "routes": [{"path": "/v1/boats", "count": 5, "inside": "data", "pages": {"size": 2, "page_at": "query.page"}}]
//! }))?;
//! let api = ScriptedApi::start(script)?;
//! assert!(api.base_url().starts_with("http://127.0.0.1:"));
//! assert!(api.asked().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `script` | the description |
//! | `request` | a request, read whole |
//! | `asked` | a request, as a test compares it |
//! | `pages` | the answer of a collection |
//! | `recorded` | requests in full, with the answers that were given to them |
//! | `answer` | the answer to a request |
//! | `quota` | a limit on the rate of requests |
//! | `credentials` | what a request must show, and where tokens come from |

mod answer;
mod asked;
mod credentials;
mod pages;
mod quota;
mod recorded;
mod request;
mod script;

use crate::sockets::Listening;
use answer::Service;
pub use asked::Asked;
pub use recorded::Recorded;
pub use script::Script;
use std::io;

/// A running server; it stops when it is dropped.
pub struct ScriptedApi {
    service: Service,
    listening: Listening,
}

impl ScriptedApi {
    /// Starts it on a free port.
    pub fn start(script: Script) -> io::Result<Self> {
        let service = Service::new(script);
        Ok(Self { listening: Listening::start(0, service.clone())?, service })
    }

    /// Where it listens: `http://127.0.0.1:PORT`. `http://localhost:PORT` leads to it as well, and is another origin.
    pub fn base_url(&self) -> &str {
        self.listening.base_url()
    }

    /// Answers by another script from now on. Tokens that were given stay good.
    pub fn replace(&self, script: Script) {
        self.service.replace(script);
    }

    /// Every request since the start, or since the script was replaced, in the order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.service.asked()
    }
}
