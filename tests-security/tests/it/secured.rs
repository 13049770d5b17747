//! A broker that asks who you are: TLS and SASL for clients, ACLs for everyone, a plain listener for the tests' own
//! preparations. One for all tests of this binary, whatever Kafka the other tests use; without it they fail.

use anyhow::{Context, Result};
use kafkaesk_client::Settings;
use kafkaesk_core::TopicPrefix;
use tokio::sync::OnceCell;
use xtask::broker::{Broker, BrokerSpec, free_port};

use crate::certificate;

/// Before every topic of these tests.
pub(crate) const PREFIX: &str = "sec.";
/// Every user's password.
const PASSWORD: &str = "correct-horse";

/// The running broker.
pub(crate) struct Secured {
    /// Its listener for administrators, without TLS and without questions.
    plain: u16,
    /// Its listener for clients.
    secure: u16,
    /// What clients must trust.
    certificate: String,
}

/// The broker, started by the first who asks.
///
/// # Panics
/// It does not start: these tests cannot run, so they fail.
pub(crate) async fn broker() -> &'static Secured {
    static BROKER: OnceCell<Secured> = OnceCell::const_new();
    BROKER
        .get_or_init(|| async {
            tokio::task::spawn_blocking(start)
                .await
                .expect("no panic")
                .unwrap_or_else(|error| {
                    panic!("the security tests need a broker of their own (by Docker, or Java 17 and Maven), and it did not start: {error:#}")
                })
        })
        .await
}

fn start() -> Result<Secured> {
    let (plain, secure, controller) = (free_port()?, free_port()?, free_port()?);
    let made = certificate::make().context("making a certificate")?;
    let mut spec = BrokerSpec::plain(&format!("kafkaesk-secured-{plain}"), plain)?
        .property("controller.quorum.voters", format!("1@localhost:{controller}"))
        .property(
            "listeners",
            format!("PLAINTEXT://:{plain},SECURE://:{secure},CONTROLLER://:{controller}"),
        )
        .property(
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{plain},SECURE://localhost:{secure}"),
        )
        .property(
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
        )
        .property("sasl.enabled.mechanisms", "SCRAM-SHA-512,OAUTHBEARER")
        .property(
            "listener.name.secure.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        )
        .property(
            // Without a validator class Kafka takes unsigned tokens: a token endpoint needs no keys then.
            "listener.name.secure.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";",
        )
        .property("ssl.keystore.type", "PEM")
        .property("ssl.keystore.location", "{dir}/keystore.pem")
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("super.users", "User:ANONYMOUS")
        .property("auto.create.topics.enable", "false");
    spec.ports.push(secure);
    spec.files.push(("keystore.pem".into(), made.keystore));
    let broker = Broker::start(&spec)?;
    let secured = Secured {
        plain,
        secure,
        certificate: made.certificate,
    };
    secured.prepare(&broker)?;
    broker.until_exit()?;
    Ok(secured)
}

impl Secured {
    /// Users and their rights.
    fn prepare(&self, broker: &Broker) -> Result<()> {
        let server = format!("127.0.0.1:{}", self.plain);
        let password = format!("SCRAM-SHA-512=[password={PASSWORD}]");
        for user in crate::rights::USERS {
            broker.tool(
                "kafka.admin.ConfigCommand",
                &[
                    "--bootstrap-server",
                    &server,
                    "--alter",
                    "--entity-type",
                    "users",
                    "--entity-name",
                    user,
                    "--add-config",
                    &password,
                ],
            )?;
        }
        for right in crate::rights::RIGHTS {
            let principal = format!("User:{}", right.user);
            let mut arguments = vec![
                "--bootstrap-server",
                &server,
                "--add",
                "--allow-principal",
                &principal,
            ];
            for resource in right.resources {
                arguments.extend([right.kind, resource]);
            }
            for operation in right.operations {
                arguments.extend(["--operation", operation]);
            }
            broker.tool("org.apache.kafka.tools.AclCommand", &arguments)?;
        }
        Ok(())
    }

    /// Settings of the administrator, who may do everything.
    pub(crate) fn administrator(&self) -> Settings {
        prefixed(Settings::new(&format!("127.0.0.1:{}", self.plain)))
    }

    /// Settings of a user, by SCRAM over TLS.
    pub(crate) fn user(&self, name: &str) -> Settings {
        self.login(name, PASSWORD)
    }

    /// Settings with any password.
    pub(crate) fn login(&self, name: &str, password: &str) -> Settings {
        self.tls(&[
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", name),
            ("sasl.password", password),
        ])
    }

    /// Settings over TLS with these properties.
    pub(crate) fn tls(&self, properties: &[(&str, &str)]) -> Settings {
        let mut settings = prefixed(Settings::new(&format!("localhost:{}", self.secure)));
        let common = &mut settings.kafka_settings.common;
        common.insert("security.protocol".into(), "sasl_ssl".into());
        common.insert("ssl.ca.pem".into(), self.certificate.clone());
        for (name, value) in properties {
            common.insert((*name).to_owned(), (*value).to_owned());
        }
        settings
    }
}

fn prefixed(mut settings: Settings) -> Settings {
    settings.topic_prefix = TopicPrefix::new(PREFIX).expect("a prefix");
    settings
}
