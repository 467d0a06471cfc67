//! Which resources share a limit on the rate of requests, and one on how many are in flight.

use super::Resource;
use crate::config::model::{self, RateLimit};
use crate::error::{Error, Result};

/// The limits of a source, which its resources name by index.
#[derive(Default)]
pub struct Pacing {
    /// Limits on the rate: what the configuration says; and what the API says holds for all that share one too.
    pub quotas: Vec<Option<Rate>>,
    /// Limits on how many requests are in flight.
    pub rooms: Vec<Option<usize>>,
}

/// So many requests in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many.
    pub requests: usize,
    /// In how many milliseconds.
    pub per: u64,
}

impl Rate {
    /// Reads a `rate_limit`, whose place is `pointer`.
    pub fn new(config: &RateLimit, pointer: &str) -> Result<Self> {
        let seconds = config.seconds();
        if !(0.001..=86_400.0).contains(&seconds) {
            let message = format!("{seconds} is no number of seconds from 0.001 to 86400");
            return Err(Error::config(format!("{pointer}/per"), message));
        }
        Ok(Self { requests: config.requests as usize, per: (seconds * 1000.0).ceil() as u64 })
    }
}

impl Pacing {
    /// Gives each resource its limits. Those of an endpoint are its own; those of the client are shared by all others that ask
    /// the same origin, since a quota is that of an API.
    pub fn new(client: &model::Client, limits: &[model::Limits], resources: &mut [Resource]) -> Result<Self> {
        let of_client = client.rate_limit.as_ref().map(|rate| Rate::new(rate, "/client/rate_limit")).transpose()?;
        let room_of_client = client.concurrency.map(|most| most as usize);
        let mut pacing = Self::default();
        let (mut shared_quotas, mut shared_rooms) = (Vec::new(), Vec::new());
        for (resource, limits) in resources.iter_mut().zip(limits) {
            let origin = resource.origin();
            resource.quota = match &limits.rate_limit {
                None => shared(&mut shared_quotas, &origin, &mut pacing.quotas, of_client),
                Some(rate) => {
                    let place = format!("{}/endpoint/rate_limit", resource.pointer);
                    pacing.quotas.push(rate.as_ref().map(|rate| Rate::new(rate, &place)).transpose()?);
                    pacing.quotas.len() - 1
                }
            };
            resource.room = match limits.concurrency {
                None => shared(&mut shared_rooms, &origin, &mut pacing.rooms, room_of_client),
                Some(most) => {
                    pacing.rooms.push(most.map(|most| most as usize));
                    pacing.rooms.len() - 1
                }
            };
        }
        Ok(pacing)
    }
}

/// The limit that all with this origin share, which is added if it is not there yet.
fn shared<T>(known: &mut Vec<(Option<String>, usize)>, origin: &Option<String>, all: &mut Vec<T>, limit: T) -> usize {
    if let Some((_, index)) = known.iter().find(|(other, _)| other == origin) {
        return *index;
    }
    known.push((origin.clone(), all.len()));
    all.push(limit);
    all.len() - 1
}

#[cfg(test)]
mod tests {
    use crate::plan::{Plan, Source};
    use serde_json::{Value, json};

    fn plan(config: &Value) -> Result<Plan, Vec<crate::error::Error>> {
        Plan::new(&Source { config: &config.to_string(), params: "{}", bindings: "{}" })
    }

    #[test]
    fn an_endpoint_has_its_own_limits_and_the_others_share_those_of_the_client() {
        let plan = plan(&json!({
            "client": {"base_url": "http://h.example", "rate_limit": {"requests": 100, "per": "minute"}, "concurrency": 4},
            "resources": ["a", {"name": "b", "endpoint": {"concurrency": 1}},
                {"name": "c", "endpoint": {"rate_limit": {"requests": 5, "per": 1.50}, "concurrency": null}},
                {"name": "d", "endpoint": {"rate_limit": null}}, {"name": "e", "endpoint": "http://other.example/e"}, "f"]
        }))
        .unwrap_or_else(|errors| panic!("{errors:?}"));
        let rate = |index: usize| plan.pacing.quotas[plan.resources[index].quota].map(|rate| (rate.requests, rate.per));
        let room = |index: usize| plan.pacing.rooms[plan.resources[index].room];
        assert_eq!([0, 1, 4, 5].map(rate), [Some((100, 60_000)); 4]);
        assert_eq!((rate(2), rate(3)), (Some((5, 1500)), None));
        assert_eq!([0, 1, 2, 3, 4, 5].map(room), [Some(4), Some(1), None, Some(4), Some(4), Some(4)]);
        let quotas: Vec<_> = plan.resources.iter().map(|resource| resource.quota).collect();
        assert_eq!(quotas, [0, 0, 1, 2, 3, 0]);
    }

    #[test]
    fn a_time_that_is_none_is_told_with_its_place() {
        for per in [json!(0), json!(-1), json!(1e9)] {
            let limit = json!({"requests": 1, "per": per});
            let of_client =
                plan(&json!({"client": {"base_url": "http://h.example", "rate_limit": limit}, "resources": ["a"]}));
            let of_endpoint = plan(&json!({"client": {"base_url": "http://h.example"},
                "resources": [{"name": "a", "endpoint": {"rate_limit": limit}}]}));
            for (plan, place) in
                [(of_client, "/client/rate_limit/per"), (of_endpoint, "/resources/0/endpoint/rate_limit/per")]
            {
                assert_eq!(plan.err().unwrap()[0].pointer.as_deref(), Some(place));
            }
        }
    }
}
