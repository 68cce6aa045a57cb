//! Where role credentials come from, as `--task-credentials` chooses it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use aws::credentials::{ChainOptions, ROTATING_FILE};
use aws::http::HttpClient;
use aws::sts::AssumeRole;
use aws::{
    Connector, ConnectorOptions, Credentials, CredentialsChain, CredentialsSource, EndpointRules, Imds, Proxies, Sts,
};
use plane::Refused;

use super::file;

/// The variable that stands in for the option.
const VARIABLE: &str = "LONGSHORE_TASK_CREDENTIALS";

/// How long a source may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long credentials of an assumed role hold: what every role allows.
const DURATION: Duration = Duration::from_secs(3600);

/// What `--task-credentials` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Tasks get no credentials.
    #[default]
    None,
    /// The user's own, found as the AWS command line finds them.
    Caller,
    /// Those of a profile of the shared files.
    Profile(String),
    /// The task's own role, assumed by the user.
    AssumeRole,
    /// What a file has.
    File(PathBuf),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("none", _) => Ok(Self::None),
            ("caller", _) => Ok(Self::Caller),
            ("assume-role", _) => Ok(Self::AssumeRole),
            (_, Some(("profile", name))) if !name.is_empty() => Ok(Self::Profile(name.to_owned())),
            (_, Some(("file", path))) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err("it is none, caller, profile:NAME, assume-role or file:PATH".to_owned()),
        }
    }
}

impl Choice {
    /// The option where it is given, else the variable of the environment.
    ///
    /// # Errors
    /// The variable says something else than the option could.
    pub(crate) fn or_from_environment(given: Option<&Self>) -> Result<Self, String> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse().map_err(|error| format!("{VARIABLE}={text}: {error}")),
            _ => Ok(Self::None),
        }
    }
}

/// A choice, ready to be asked.
#[derive(Debug)]
pub(crate) enum Source {
    None,
    File(PathBuf),
    /// Everything that speaks to AWS.
    Aws {
        choice: Choice,
        region: String,
        http: HttpClient,
    },
}

impl Source {
    /// `region` is where roles are assumed. Looks whether a file can be read; the second part of the answer is what
    /// the user should know.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn new(choice: Choice, region: &str) -> Result<(Self, Option<String>), String> {
        match choice {
            Choice::None => Ok((Self::None, None)),
            Choice::File(path) => {
                let path = std::path::absolute(&path).unwrap_or(path);
                file::read(&path)?;
                let warning = file::warning(&path);
                Ok((Self::File(path), warning))
            }
            choice => {
                let proxies = Proxies::from_vars(&variable);
                let ca_bundle = variable("AWS_CA_BUNDLE").map(Into::into);
                let options = ConnectorOptions { proxies, ca_bundle, ..ConnectorOptions::default() };
                let http = HttpClient::new(Connector::new(options));
                Ok((Self::Aws { choice, region: region.to_owned(), http }, None))
            }
        }
    }

    pub(crate) const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Credentials for a role of a task.
    pub(super) async fn credentials(&self, task: &str, role_arn: &str) -> Result<Credentials, Refused> {
        let last = |reason: String| Refused { reason, is_final: true };
        match self {
            Self::None => Err(last("this control plane was started without --task-credentials".to_owned())),
            Self::File(path) => file::read(path).map_err(last),
            Self::Aws { choice, region, http } => {
                let asked = ask(choice, region, http, task, role_arn);
                let late = || Refused { reason: format!("no answer within {DEADLINE:?}"), is_final: false };
                tokio::time::timeout(DEADLINE, asked).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn ask(
    choice: &Choice,
    region: &str,
    http: &HttpClient,
    task: &str,
    role_arn: &str,
) -> Result<Credentials, Refused> {
    let last = |reason: String| Refused { reason, is_final: true };
    let options = ChainOptions {
        external: false,
        region: Some(region.to_owned()),
        http: http.clone(),
        imds: match variable("AWS_EC2_METADATA_DISABLED") {
            Some(text) if text.eq_ignore_ascii_case("true") => Imds::blackholed(),
            _ => Imds::from_vars(&variable),
        },
        rotating_file: ROTATING_FILE.into(),
    };
    // A new one each time: a profile that was edited counts at the next refresh.
    let chain = match choice {
        Choice::Profile(name) => CredentialsChain::of_profile(&options, name, &variable),
        _ => CredentialsChain::new(options, &variable),
    };
    if *choice != Choice::AssumeRole {
        return chain.credentials().await.map_err(|error| last(error.to_string()));
    }
    if !role_arn.starts_with("arn:") {
        return Err(last("a role can only be assumed by its full ARN".to_owned()));
    }
    let rules = EndpointRules::from_vars(region, None, false, &variable);
    let endpoint = rules.endpoint("STS").map_err(|error| last(error.to_string()))?;
    let sts =
        Sts { http: http.clone(), endpoint, region: region.to_owned(), credentials: CredentialsSource::from(chain) };
    // Real sessions of tasks have the task's id for a name, too.
    let session_name = task.rsplit('/').next().unwrap_or(task);
    let role = AssumeRole { role_arn, session_name, duration: DURATION };
    sts.assume_role(&role, DEADLINE).await.map_err(|error| {
        let is_final = !error.is_retryable();
        Refused { reason: error.to_string(), is_final }
    })
}
