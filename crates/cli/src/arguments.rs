//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jwe_gate_core::capabilities::Host;
use jwe_gate_core::jwe::{Encryption, Profile};

/// Looks into the session tokens of Auth.js and `NextAuth`, mints them, and checks configurations of the filter.
#[derive(Debug, Parser)]
#[command(name = "jwe-gate", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say whether a configuration of the filter is accepted, and if not, which field is wrong and why. With `--path` also
    /// what becomes of a request, and why.
    Check(CheckArguments),
    /// Swap module and configuration of running Envoys, and take both back if an Envoy does not take them.
    Deploy(DeployArguments),
    /// Make a key that signs identities, and print both halves: one for the filter, one for the lookup service.
    IdentityKey,
    /// Read a Cookie header on standard input and say, as JSON, whether its session is accepted and why not.
    Inspect(InspectArguments),
    /// Make a token, as the app would.
    Mint(MintArguments),
    /// End sessions early, on every proxy: one by its `sid`, or all of a user's.
    Revoke(RevokeArguments),
    /// Swap back to what was deployed before.
    Rollback(RollbackArguments),
    /// Print the JSON Schema of the filter's configuration.
    Schema(SchemaArguments),
    /// Say which version a built filter is, of which commit, by which tools, and its checksum.
    Version(VersionArguments),
    /// Load users into the caches before an event, and ask each proxy for pages in their names. Prints how many, never who.
    Warm(WarmArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration.
    pub(crate) file: PathBuf,
    /// The proxy that it is meant for; its field `host` must say so.
    #[arg(long, value_enum)]
    pub(crate) proxy: Option<ProxyName>,
    #[command(flatten)]
    pub(crate) request: RequestArguments,
}

/// A request of which to say what becomes of it, and why.
#[derive(Debug, Args)]
pub(crate) struct RequestArguments {
    /// The path of a request, with its query: say what becomes of it, and why.
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Its method.
    #[arg(long, value_name = "NAME", default_value = "GET", requires = "path")]
    pub(crate) method: String,
    /// Its host, such as `app.example.com`.
    #[arg(long, value_name = "NAME", requires = "path")]
    pub(crate) host: Option<String>,
    /// Its Cookie header; `@FILE` for what is in a file.
    #[arg(long, value_name = "VALUE|@FILE", requires = "path")]
    pub(crate) cookie: Option<String>,
    /// One more header, as `name: value`; `@FILE` for lines of a file. May be given several times.
    #[arg(long = "header", value_name = "LINE|@FILE", requires = "path")]
    pub(crate) headers: Vec<String>,
    /// What the lookup is supposed to say of the user.
    #[arg(long, value_enum, default_value = "known", requires = "path")]
    pub(crate) user: UserName,
    /// A field of the user that the lookup is supposed to say, the value in JSON or as text. May be given several times.
    #[arg(long = "field", value_name = "NAME=VALUE", requires = "path")]
    pub(crate) fields: Vec<String>,
    /// The time to go by, in seconds since 1970; the clock's if not given.
    #[arg(long, value_name = "UNIX", requires = "path")]
    pub(crate) now: Option<u64>,
    /// Print the values of headers and claims, too.
    #[arg(long, requires = "path")]
    pub(crate) show_values: bool,
}

/// What a lookup may say of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UserName {
    /// There is such a user.
    Known,
    /// There is none.
    Unknown,
    /// There is one who is barred.
    Banned,
    /// Nobody answers.
    Unanswered,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    /// The module.
    #[arg(long, value_name = "FILE")]
    pub(crate) module: PathBuf,
    /// Its SHA-256 in hexadecimal, or a file that holds it as `sha256sum` writes it.
    #[arg(long, value_name = "HEX|FILE")]
    pub(crate) sha256: String,
    /// The filter's configuration. It is checked with the variables of this command's environment, which should be Envoy's.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How many versions to keep for going back, the new one among them.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) keep: u16,
    /// Put the files in place for the first start of Envoy, which does not start without them.
    #[arg(long)]
    pub(crate) first: bool,
    /// The admin page of an Envoy that reads the directory, such as `http://127.0.0.1:9901`; once for each of them.
    #[arg(long, value_name = "URL", required_unless_present = "first", conflicts_with = "first")]
    pub(crate) admin: Vec<String>,
    #[command(flatten)]
    pub(crate) at: WhereArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// The lookup service, such as `https://lookup.example.org`.
    #[arg(long, value_name = "URL")]
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) target: RevokeTarget,
    /// The realm that the service serves.
    #[arg(long, default_value = "default")]
    pub(crate) realm: String,
    /// The environment variable that holds what administrators show.
    #[arg(long, value_name = "NAME", default_value = "REVOCATION_ADMIN_TOKEN")]
    pub(crate) token_env: String,
    /// The authority to trust for `https`, in PEM; the well-known ones if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// What is to end.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RevokeTarget {
    /// All sessions of the user with this id, up to now.
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// The session with this `sid`.
    #[arg(long, value_name = "SID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// The version; the one before the present one if not given.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// The admin page of an Envoy that reads the directory, such as `http://127.0.0.1:9901`; once for each of them.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) admin: Vec<String>,
    #[command(flatten)]
    pub(crate) at: WhereArguments,
}

/// Which filter.
#[derive(Debug, Args)]
pub(crate) struct WhereArguments {
    /// The directory that Envoy watches.
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The filter's name in Envoy's configuration.
    #[arg(long, default_value = "jwe_gate", value_parser = filter_name)]
    pub(crate) name: String,
    /// How long to wait, in seconds, for an Envoy to take it; as long again if it has to be taken back.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
}

/// It becomes part of file names and of Envoy's names of counters.
fn filter_name(text: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("only letters, digits, _, - and ., and a letter or digit first")
    }
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The filter's configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The time to go by, in seconds since 1970; the clock's if not given.
    #[arg(long, value_name = "UNIX")]
    pub(crate) now: Option<u64>,
    /// The value of an Authorization header.
    #[arg(long, value_name = "VALUE")]
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MintArguments {
    /// The package whose tokens to make.
    #[arg(long, value_enum)]
    pub(crate) profile: ProfileName,
    #[command(flatten)]
    pub(crate) secret: SecretSource,
    /// The session cookie's name, which for `authjs` is the salt too; the package's own if not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) cookie: Option<String>,
    /// The HKDF salt, where it is not what the profile takes by itself.
    #[arg(long)]
    pub(crate) salt: Option<String>,
    /// The user's id.
    #[arg(long)]
    pub(crate) sub: String,
    /// When it was issued, in seconds since 1970; now if not given.
    #[arg(long, value_name = "UNIX")]
    pub(crate) iat: Option<u64>,
    /// When it expires; thirty days after `--iat` if not given.
    #[arg(long, value_name = "UNIX")]
    pub(crate) exp: Option<u64>,
    /// The content encryption; the package's own if not given.
    #[arg(long, value_enum)]
    pub(crate) enc: Option<EncryptionName>,
    /// Name the key in the header; the default where the package does so.
    #[arg(long, conflicts_with = "no_kid")]
    pub(crate) kid: bool,
    /// Do not name the key in the header.
    #[arg(long)]
    pub(crate) no_kid: bool,
    /// One more claim, its value in JSON; may be given several times, and replaces a claim of that name.
    #[arg(long = "claim", value_name = "NAME=JSON")]
    pub(crate) claims: Vec<String>,
    /// Print a Cookie header instead of the bare token, in chunks where the package would cut it.
    #[arg(long)]
    pub(crate) chunk: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Print it as tables in Markdown instead.
    #[arg(long)]
    pub(crate) reference: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArguments {
    /// The filter, a `.wasm` file; this program itself if not given.
    pub(crate) file: Option<PathBuf>,
}

/// Where the secret is. Never on the command line itself.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SecretSource {
    /// The environment variable that holds the secret.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_env: Option<String>,
    /// The file that holds the secret; one line break at its end does not count.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProxyName {
    Envoy,
    Nginx,
}

impl From<ProxyName> for Host {
    fn from(name: ProxyName) -> Self {
        match name {
            ProxyName::Envoy => Self::Envoy,
            ProxyName::Nginx => Self::Nginx,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileName {
    #[value(name = "authjs")]
    AuthJs,
    #[value(name = "authjs-legacy")]
    AuthJsLegacy,
    #[value(name = "next-auth")]
    NextAuth,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EncryptionName {
    #[value(name = "A256CBC-HS512")]
    A256CbcHs512,
    #[value(name = "A256GCM")]
    A256Gcm,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::AuthJs => Self::AuthJs,
            ProfileName::AuthJsLegacy => Self::AuthJsLegacy,
            ProfileName::NextAuth => Self::NextAuth,
        }
    }
}

impl From<EncryptionName> for Encryption {
    fn from(name: EncryptionName) -> Self {
        match name {
            EncryptionName::A256CbcHs512 => Self::A256CbcHs512,
            EncryptionName::A256Gcm => Self::A256Gcm,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WarmArguments {
    /// The filter's configuration. The secrets are read as the filter reads them.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The lookup service, such as `http://127.0.0.1:9090`.
    #[arg(long, value_name = "URL")]
    pub(crate) lookup: String,
    /// The users' ids, one on each line; `-` for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) users: PathBuf,
    /// A page to ask for as each known user, at one proxy; may be given several times.
    #[arg(long = "page", value_name = "URL")]
    pub(crate) pages: Vec<String>,
    /// The Host header for pages, where they are asked for by a proxy's own address.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// The authority to trust for `https`, in PEM; the well-known ones if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How many requests are under way at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) concurrency: usize,
}
