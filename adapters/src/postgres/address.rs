//! Owns where the database is, and what every session is told when it begins.

use super::{DatabaseError, DatabaseOptions, described};
use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A lock that another session holds is not waited for longer: a process that was stopped in the middle of a transaction must not
/// stop the one that takes its place.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// A transaction in which nothing happens ends. Ours are one statement each, so it is one of a process that was stopped.
const IDLE_IN_TRANSACTION: Duration = Duration::from_millis(1500);

/// How we are called in the database's own lists.
const NAME: &str = "florin";

/// A connection that nobody drives yet.
type Undriven = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Where the database is. Never shown but for its hosts.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
    /// Until a connection is there, however far it came.
    reach_max: Duration,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Address {
    pub(super) fn parse(options: &DatabaseOptions) -> Result<Self, DatabaseError> {
        let mut config: Config = options
            .url
            .parse()
            .map_err(|error: tokio_postgres::Error| DatabaseError::Address(misunderstood(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(DatabaseError::Address("it names no host".to_owned()));
        }
        let is_host = |host: &Host| !matches!(host, Host::Tcp(name) if name.contains('@'));
        if !config.get_hosts().iter().all(is_host) {
            let why = "an @ in its password must be written as %40";
            return Err(DatabaseError::Address(why.to_owned()));
        }
        let place = place(&config);
        let ms = |limit: Duration| limit.as_millis().to_string();
        // Whole seconds, and none at all is refused.
        let silent = Duration::from_secs(options.statement_timeout.as_secs().max(1));
        let silent_s = silent.as_secs().to_string();
        let settings = [
            // Whoever configures less in the server does not mean us.
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read\\ committed"),
            // A warning says that a commit's copies were not waited for.
            ("client_min_messages", "warning"),
            ("statement_timeout", &ms(options.statement_timeout)),
            ("lock_timeout", &ms(LOCK_TIMEOUT)),
            ("idle_in_transaction_session_timeout", &ms(IDLE_IN_TRANSACTION)),
            // Sessions of a machine that is gone end, and with them whatever they have locked.
            ("tcp_keepalives_idle", &silent_s),
            ("tcp_keepalives_interval", &silent_s),
            ("tcp_keepalives_count", "3"),
        ];
        let settings = settings.map(|(name, value)| format!("-c {name}={value}"));
        let own = config.get_options().unwrap_or_default();
        // The later one counts.
        let told = format!("{own} {}", settings.join(" "));
        config
            .options(told)
            .application_name(NAME)
            .connect_timeout(options.connect_timeout)
            .tcp_user_timeout(options.statement_timeout)
            .keepalives_idle(silent)
            .keepalives_interval(silent)
            // Of several hosts the one that takes writes: the others are its copies.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let tls = tls().map_err(DatabaseError::Address)?;
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
        Ok(Self {
            config,
            tls,
            place,
            reach_max: options.connect_timeout.saturating_mul(hosts),
        })
    }

    /// The same where a server that follows another one will do.
    pub(super) fn of_any_server(mut self) -> Self {
        self.config.target_session_attrs(TargetSessionAttrs::Any);
        self
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn reach_max(&self) -> Duration {
        self.reach_max
    }

    /// A connection. `connect_timeout` of the driver ends with the socket, so a server that takes it and says nothing needs a limit of ours.
    pub(super) async fn reach(&self) -> Result<(Client, Undriven), String> {
        tokio::time::timeout(self.reach_max, self.config.connect(self.tls()))
            .await
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|error| described(&error))
    }

    /// A connection that is driven in the background until it is dropped.
    pub(super) async fn connect(&self) -> Result<Client, DatabaseError> {
        let (client, connection) = self.reach().await.map_err(|why| DatabaseError::Unreachable {
            place: self.place.clone(),
            why,
        })?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(
                    error = described(&error),
                    "a connection to the database has ended"
                );
            }
        });
        Ok(client)
    }
}

/// Why an address is none, without a word of it: what is taken for the name of an option may be a password with a blank in it, or a whole
/// URL with a slash too few.
fn misunderstood(error: &tokio_postgres::Error) -> String {
    let said = described(error);
    // Names an option that the driver knows, and not its value.
    match said.find("invalid value for option") {
        Some(start) => said.get(start..).unwrap_or_default().to_owned(),
        None => "it must be `postgres://user:password@host:port/database`, or `host=... port=... user=... password=... dbname=...` \
                 with quotes around values that have blanks"
            .to_owned(),
    }
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |index: usize| {
        ports
            .get(index)
            .or_else(|| ports.first())
            .copied()
            .unwrap_or(5432)
    };
    let hosts = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(path) => format!("{}:{}", path.display(), port(index)),
        });
    let database = config.get_dbname().unwrap_or("postgres");
    format!("{}/{database}", hosts.collect::<Vec<_>>().join(","))
}

/// TLS where the address or the server asks for it, with the certificates that the system trusts.
fn tls() -> Result<MakeRustlsConnect, String> {
    let builder = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())
    };
    let config = match builder()?.with_native_roots() {
        Ok(trusting) => trusting.with_no_client_auth(),
        Err(error) => {
            tracing::debug!(%error, "the system trusts no certificates");
            builder()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}
