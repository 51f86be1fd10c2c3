//! The laboratory, on chains that are for teaching.

use std::time::Duration;

use bard_chain::address::Address;

use super::{Failure, FailureKind, Service};
use crate::{
    application::reply::{self, Reply},
    lab::{MAX_DELAY, RIVAL},
};

/// Why there is no laboratory on other chains.
const CLOSED: &str = "the laboratory is for chains for teaching: dev, and those that `bard chain new --preset class` or demo \
                      makes, whose first blocks take at most 4194304 hashes and come every 30 s or sooner";

impl Service {
    pub(super) fn lab(&self) -> reply::Lab {
        let lab = &self.parts().lab;
        reply::Lab { teaching: lab.is_open(), settings: lab.settings() }
    }

    pub(super) async fn set_lab(
        &self,
        apart: Option<bool>,
        delay_ms: Option<u64>,
        rival: Option<bool>,
    ) -> Result<Reply, Failure> {
        if !self.parts().lab.is_open() {
            return Err(Failure::new(FailureKind::Conflict, CLOSED));
        }
        let delay = delay_ms.map(Duration::from_millis);
        if let Some(delay) = delay.filter(|delay| *delay > MAX_DELAY) {
            let (given, most) = (delay.as_millis(), MAX_DELAY.as_millis());
            return Err(Failure::new(FailureKind::Malformed, format!("delay_ms: {given} is not in 0 to {most}")));
        }
        let rival = match rival {
            Some(true) => Some(Some(self.blocking(Self::rival).await?)),
            Some(false) => Some(None),
            None => None,
        };
        self.parts().lab.switch(|settings| {
            settings.apart = apart.unwrap_or(settings.apart);
            settings.delay = delay.unwrap_or(settings.delay);
            settings.rival = rival.unwrap_or(settings.rival);
        });
        Ok(Reply::Lab(self.lab()))
    }

    /// For whom the rival mines: a key of that name, made where there is none.
    fn rival(&self) -> Result<Address, Failure> {
        let wallet = &self.parts().wallet;
        wallet.address(RIVAL).or_else(|_| wallet.create(RIVAL)).map_err(Failure::from)
    }
}
