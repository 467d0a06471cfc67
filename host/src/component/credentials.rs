//! Who a person is to a registry.

use crate::{Class, Error, Result};
use docker_credential::{CredentialRetrievalError as Failure, DockerCredential};
use oci_client::secrets::RegistryAuth;

/// The name under which the field's tools keep the credentials of Docker's registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What was kept by `docker login`, or else by `podman login`; nobody where neither was called.
pub fn of_user(registry: &str) -> Result<RegistryAuth> {
    let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let found = match docker_credential::get_credential(server) {
        Err(failure) if is_nothing(&failure) => docker_credential::get_podman_credential(server),
        found => found,
    };
    let wrong = |reason: String| {
        Err(Error::new(Class::Auth, format!("the credentials for the registry {registry} cannot be read"))
            .fact("reason", reason)
            .advice(format!("log in again: `docker login {registry}`")))
    };
    match found {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(_)) => {
            wrong("it is an identity token, which only Docker can use".to_owned())
        }
        Err(failure) if is_nothing(&failure) => Ok(RegistryAuth::Anonymous),
        // What a helper prints may hold what it keeps.
        Err(Failure::HelperFailure { helper, .. }) => wrong(format!("the credential helper {helper} failed")),
        Err(failure) => wrong(failure.to_string()),
    }
}

fn is_nothing(failure: &Failure) -> bool {
    matches!(failure, Failure::NoCredentialConfigured | Failure::ConfigNotFound | Failure::ConfigReadError)
}
