//! Tokens that the gate obtains itself: once however many requests wait, and anew when one ends or the API refuses it.
//!
//! What is asked and what an answer means is the connector's own code ([`TokenSource`]), which does the same in a runtime that
//! has no gate.

use super::credentials::header;
use super::failure::Failure;
use super::origin::Origin;
use super::redactor::Redactor;
use super::sender::Run;
use super::token_store::{TokenKey, TokenStore};
use crate::{Class, Error, Result};
use jiff::Timestamp;
use spile_connector::auth::{Outcome, Placement, Token, TokenSource};
use spile_connector::error::{self, Kind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as Turn;
use wasmtime_wasi_http::Error as Code;

/// The least time between two tokens that are renewed on the connector's word.
const PAUSE: Duration = Duration::from_secs(30);

/// The token of an `auth` object, and where it comes from.
pub(super) struct Tokens {
    /// The place of the `auth` object.
    pointer: String,
    origin: Origin,
    redactor: Redactor,
    now: Mutex<Now>,
    /// Whoever has it asks; all others wait.
    source: Turn<TokenSource>,
    /// What tells the refresh token apart from others, the name of the pipeline aside.
    identity: Vec<String>,
    kept: OnceLock<(TokenKey, Arc<dyn TokenStore>)>,
}

/// How the token stands.
#[derive(Default)]
struct Now {
    token: Option<(Token, Placement)>,
    /// Counts tokens, from 1.
    count: u64,
    /// Whether the API refused the token before this one, and has not yet taken this one.
    doubted: bool,
    /// When the connector last had a token renewed.
    renewed: Option<Instant>,
    /// Why there is no token to be had. The first time counts, so that no request waits for another try in vain.
    failed: Option<Error>,
}

/// A token for one request.
pub(super) struct Issued {
    /// Which one.
    pub count: u64,
    /// Where it goes.
    pub placement: Placement,
}

impl Drop for Issued {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.placement.value_mut());
    }
}

impl Tokens {
    pub fn new(pointer: &str, source: TokenSource, identity: Vec<String>, redactor: Redactor) -> Result<Self> {
        let origin = Origin::of(source.url())?;
        let mut now = Now::default();
        if let Some(token) = source.first() {
            redactor.hide(&token.value);
            let placement = source.placement(&token);
            (now.token, now.count) = (Some((token, placement)), 1);
        }
        let (now, source) = (Mutex::new(now), Turn::new(source));
        Ok(Self { pointer: pointer.to_owned(), origin, redactor, now, source, identity, kept: OnceLock::new() })
    }

    /// Keeps the refresh token in a store, for the pipeline of this name.
    pub fn keep_in(&self, tenant: &str, name: &str, store: Arc<dyn TokenStore>) {
        if !self.identity.is_empty() {
            let tenant = Some(tenant).filter(|tenant| !tenant.is_empty());
            let parts: Vec<&str> =
                tenant.into_iter().chain([name]).chain(self.identity.iter().map(String::as_str)).collect();
            // Another store for the same credentials would be a second one to rotate in.
            let _ = self.kept.set((TokenKey::new(&parts), store));
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good now. Obtained first where there is none.
    pub async fn issue(self: &Arc<Self>, run: &Arc<Run>) -> Result<Issued, Failure> {
        if let Some(issued) = self.ready()? {
            return Ok(issued);
        }
        // A task of its own: where the connector gives up the request, a refresh token that was spent must not be lost.
        let (own, run) = (self.clone(), run.clone());
        let obtained = tokio::spawn(async move { own.obtain(&run).await }).await;
        obtained.unwrap_or_else(|_| {
            let error = Error::new(Class::Internal, "the host failed while it obtained a token");
            Err(Failure::denied(Code::HttpRequestDenied, error))
        })
    }

    /// The token, if it is there and good.
    fn ready(&self) -> Result<Option<Issued>, Failure> {
        let now = self.now();
        if let Some(error) = &now.failed {
            return Err(Failure::denied(Code::HttpRequestDenied, error.clone()));
        }
        let fresh = now.token.as_ref().filter(|(token, _)| token.is_fresh(clock()));
        Ok(fresh.map(|(_, placement)| Issued { count: now.count, placement: placement.clone() }))
    }

    async fn obtain(&self, run: &Run) -> Result<Issued, Failure> {
        let mut source = self.source.lock().await;
        // Another request may have had the turn before.
        if let Some(issued) = self.ready()? {
            return Ok(issued);
        }
        let asked = self.ask(&mut source, run).await;
        let sendable = asked.and_then(|token| {
            self.redactor.hide(&token.value);
            let placement = source.placement(&token);
            header(&placement).map_err(|error| error.at(&self.pointer))?;
            Ok((token, placement))
        });
        match sendable {
            Ok((token, placement)) => {
                let mut now = self.now();
                now.count += 1;
                now.token = Some((token, placement.clone()));
                Ok(Issued { count: now.count, placement })
            }
            Err(error) => {
                self.now().failed = Some(error.clone());
                Err(Failure::denied(Code::HttpRequestDenied, error))
            }
        }
    }

    /// Asks until there is a token, or none to be had.
    async fn ask(&self, source: &mut TokenSource, run: &Run) -> Result<Token> {
        for attempt in 1u32.. {
            if let Some((key, store)) = self.kept.get()
                && let Some(token) = store.load(key).map_err(|error| error.at(&self.pointer))?
            {
                self.redactor.hide(&token);
                source.set_refresh_token(token);
            }
            let before = source.refresh_token().map(|token| zeroize::Zeroizing::new(token.to_owned()));
            let asked = clock();
            let request = source.request(asked).map_err(|error| self.told(error))?;
            let outcome = run.exchange(&self.origin, request).await.map_err(|denial| denial.at(&self.pointer))?;
            match source.outcome(attempt, outcome, asked, clock()) {
                Outcome::Token(token) => {
                    if let Some(new) = source.refresh_token()
                        && before.is_some_and(|before| before.as_str() != new)
                    {
                        self.redactor.hide(new);
                        if let Some((key, store)) = self.kept.get() {
                            store.save(key, new).map_err(|error| error.at(&self.pointer))?;
                        }
                    }
                    return Ok(token);
                }
                Outcome::Again(wait, _) => tokio::time::sleep(Duration::from_millis(wait)).await,
                Outcome::Failed(error) => return Err(self.told(error)),
            }
        }
        Err(Error::new(Class::Internal, "a token was asked for without end"))
    }

    /// A failure of a token as a person sees it.
    fn told(&self, error: error::Error) -> Error {
        let class = match error.kind {
            Kind::Config => Class::Config,
            Kind::Auth | Kind::Permission => Class::Auth,
            Kind::RateLimited | Kind::Transient | Kind::Schema | Kind::Upstream => Class::Source,
            Kind::Limit => Class::Policy,
            Kind::Internal => Class::Internal,
        };
        let mut own = Error::new(class, self.redactor.redact(&error.message)).at(&self.pointer);
        own.advice = error.advice;
        if let Some(url) = error.url {
            own = own.fact("token url", self.redactor.redact(&url));
        }
        if let Some(status) = error.status {
            own = own.fact("token status", status);
        }
        match error.attempts {
            Some(attempts) if attempts > 1 => own.fact("token attempts", attempts),
            _ => own,
        }
    }

    /// Takes in that the API refused a token. Tells whether another one is worth a try: not where this one was already obtained
    /// after a refusal.
    pub fn refused(&self, count: u64) -> bool {
        let mut now = self.now();
        if now.count != count || now.token.is_none() {
            return true;
        }
        if now.doubted {
            return false;
        }
        now.token = None;
        now.doubted = true;
        true
    }

    /// Takes in that the connector takes an answer of the API for a refusal of a token. It cannot have one renewed as often as it
    /// likes: in between there is [`PAUSE`].
    pub fn doubted(&self, count: u64) {
        let mut now = self.now();
        let is_early = now.renewed.is_some_and(|renewed| renewed.elapsed() < PAUSE);
        if now.count == count && !is_early {
            now.token = None;
            now.renewed = Some(Instant::now());
        }
    }

    /// Takes in that the API took a token.
    pub fn taken(&self, count: u64) {
        let mut now = self.now();
        if now.count == count && now.token.is_some() {
            now.doubted = false;
        }
    }
}

impl Drop for Now {
    fn drop(&mut self) {
        if let Some((_, placement)) = &mut self.token {
            zeroize::Zeroize::zeroize(placement.value_mut());
        }
    }
}

/// Milliseconds since 1970.
fn clock() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}
