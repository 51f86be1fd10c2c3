//! Commands that ask a running node: which node that is, and how the answer is printed.

use std::path::Path;

use clap::Args;

use super::print;
use crate::{
    config,
    interface::{
        ask::{Answer, Question, ask},
        client::Client,
        console,
    },
    registry,
};

/// Where a node is looked for when none is known to run.
const DEFAULT_API: &str = "http://127.0.0.1:5000/";

/// Which node is asked.
#[derive(Args, Clone, Debug)]
pub struct NodeChoice {
    /// URL of the node's API; if left out, the node at BARD_PORT on this machine, or the one that runs there
    #[arg(long, value_name = "URL", env = "BARD_API")]
    pub api: Option<String>,
    /// The node's token, where it has one
    #[arg(long, value_name = "TOKEN", env = "BARD_API_TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,
}

/// How a query is answered.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// Which node is asked.
    #[command(flatten)]
    pub node: NodeChoice,
    /// Print JSON, as the API has it
    #[arg(long)]
    pub json: bool,
}

impl NodeChoice {
    /// The node's API.
    ///
    /// # Errors
    /// One line: the URL is none, the token cannot be sent, or several nodes run and none was chosen.
    pub fn client(&self) -> Result<Client, String> {
        let token = config::api_token(self.api_token.as_deref()).map_err(|error| error.to_string())?;
        let url = match &self.api {
            Some(url) => url.clone(),
            None => match config::port_of_environment().map_err(|error| error.to_string())? {
                Some(port) => format!("http://127.0.0.1:{port}/"),
                None => running_node(config::user_dir().ok().as_deref())?,
            },
        };
        Client::of_url(&url, token).map_err(|error| error.to_string())
    }
}

/// The URL of the node that this user runs.
fn running_node(user_dir: Option<&Path>) -> Result<String, String> {
    let running = user_dir.map(registry::running).unwrap_or_default();
    let mut urls: Vec<String> = running.into_iter().map(|(_, node)| node.api).collect();
    urls.sort();
    match urls.as_slice() {
        [] => Ok(DEFAULT_API.to_owned()),
        [one] => Ok(one.clone()),
        several if several.iter().any(|url| url == DEFAULT_API) => Ok(DEFAULT_API.to_owned()),
        several => Err(format!("several nodes run here: choose one with --api: {}", several.join(", "))),
    }
}

impl Output {
    /// Asks the node and prints what it says.
    ///
    /// # Errors
    /// One line: what the node said, or why it said nothing.
    pub fn ask(&self, question: Question) -> Result<(), String> {
        self.answer(question).map(|_| ())
    }

    /// [`Self::ask`], for those who look at what was said.
    ///
    /// # Errors
    /// As there.
    pub fn answer(&self, question: Question) -> Result<Answer, String> {
        let client = self.node.client()?;
        let (answer, text) = block_on(async {
            let answer = ask(&client, question).await.map_err(|error| error.to_string())?;
            let text = if self.json {
                serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())
            } else {
                console::text_of(&client, &answer).await.map_err(|error| error.to_string())
            };
            text.map(|text| (answer, text))
        })?;
        print(&text);
        Ok(answer)
    }
}

/// Runs a future to its end.
///
/// # Errors
/// Its own, and where this machine gives no threads.
pub fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_node_is_meant() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(running_node(Some(root.path())).as_deref(), Ok(DEFAULT_API));
        let run = |chain: &str, port: u16| {
            let dir = root.path().join(chain).join(port.to_string());
            std::fs::create_dir_all(&dir).expect("made");
            let file = registry::NodeFile {
                pid: std::process::id(),
                peer_id: "12D3".into(),
                listen: Vec::new(),
                api: format!("http://127.0.0.1:{port}/"),
                chain: "dev".into(),
                version: "0".into(),
            };
            file.write(&dir).expect("written");
        };
        run("dev-1", 5003);
        assert_eq!(running_node(Some(root.path())).as_deref(), Ok("http://127.0.0.1:5003/"));
        run("class-2", 5004);
        let several = running_node(Some(root.path())).expect_err("which?");
        assert!(several.contains("5003") && several.contains("5004") && several.contains("--api"), "{several}");
        run("class-2", 5000);
        assert_eq!(running_node(Some(root.path())).as_deref(), Ok(DEFAULT_API));
    }
}
