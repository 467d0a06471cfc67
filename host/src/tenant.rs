//! Those whose pipelines run on a host.

use crate::component::Place;
use crate::gate::{Client, ClientOptions, TokenFiles, TokenStore};
use crate::policy::Operator;
use crate::{Class, Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// One of those whose pipelines run on a host, and what their runs share: connections, a policy, and kept tokens.
///
/// Nothing is shared between tenants but the compiled code of connectors, which holds nothing of theirs. Clones are the same
/// tenant.
///
/// ```no_run
/// # async fn example() -> spile_host::Result<()> {
/// use spile_host::{gate::Secrets, pipeline::Pipeline, policy::Operator, run::{Options, Run}};
/// use spile_host::{sandbox::{Host, HostOptions}, tenant::Tenant};
///
/// let host = Host::new(HostOptions::default())?;
/// let connector = host.load_built_in()?;
/// let tenant = Tenant::new("acme", Some(Operator::default()));
/// let pipeline = Pipeline::read("shop.yaml".as_ref())?;
/// let run = Run::new(&tenant, &connector, pipeline).await?;
/// let mut secrets = Secrets::default();
/// secrets.set("api_key", "…".to_owned());
/// let report = run.load(&secrets, &Options::default(), &mut |_| {}, std::future::pending()).await?;
/// println!("{} rows", report.published.tables.iter().map(|table| table.inserted).sum::<u64>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tenant {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    policy: Option<Operator>,
    tokens: Option<Arc<dyn TokenStore>>,
    clients: Mutex<BTreeMap<ClientKey, Client>>,
}

/// What connections depend on besides the tenant: the proxy, and the limits that hold for all requests of a connection.
type ClientKey = (Option<Url>, usize, Duration);

impl Tenant {
    /// A tenant of this name, whose pipelines cannot widen this policy; without one each pipeline's own holds alone. Refresh
    /// tokens that rotate are kept in files of the user that the program runs as, under the tenant's name.
    pub fn new(name: impl Into<String>, policy: Option<Operator>) -> Self {
        let tokens = TokenFiles::of_user().map(|files| Arc::new(files) as Arc<dyn TokenStore>);
        Self::with_tokens(name, policy, tokens)
    }

    /// Likewise, with tokens kept in this store; without one each is good for one run only.
    pub fn with_tokens(name: impl Into<String>, policy: Option<Operator>, tokens: Option<Arc<dyn TokenStore>>) -> Self {
        let shared = Shared { name: name.into(), policy, tokens, clients: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What an operator permits a pipeline of it, under the tenant's own policy.
    pub(crate) fn permits(&self, operator: Operator) -> Operator {
        match &self.shared.policy {
            Some(policy) => operator.under(policy),
            None => operator,
        }
    }

    /// Fails where a pipeline of it may not have the host fetch its component from there: under a policy of the tenant's own, only
    /// from a registry that the policy names among its `origins`. It is not the connector that asks there, but the host.
    pub fn check_component(&self, place: &Place) -> Result<()> {
        let (Some(policy), Place::Registry(reference)) = (&self.shared.policy, place) else { return Ok(()) };
        let origin = reference.origin()?;
        if policy.within.iter().flatten().any(|pattern| pattern.matches(&origin)) {
            return Ok(());
        }
        Err(Error::new(Class::Policy, "the policy does not let a pipeline have its component from this registry")
            .fact("component", reference)
            .advice(format!("name {origin} in `origins` of the policy, or give the component with `--component`")))
    }

    /// Where refresh tokens are kept.
    pub(crate) fn tokens(&self) -> Option<&Arc<dyn TokenStore>> {
        self.shared.tokens.as_ref()
    }

    /// The connections for runs with this policy. No other tenant uses them.
    pub(crate) fn client(&self, operator: &Operator) -> Result<Client> {
        let Operator { limits, proxy, .. } = operator;
        let key = (proxy.clone(), limits.header_size, limits.connect_timeout);
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = Client::with(limits, ClientOptions { proxy: proxy.clone(), ..ClientOptions::default() })?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}
