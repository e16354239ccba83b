//! `florin sandbox`: the simulated providers alone.

use crate::edge;
use florin_config::Settings;
use florin_sandbox::{Options, Sandbox};

/// Runs until a signal.
#[expect(clippy::print_stdout, reason = "the address is this command's output")]
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = edge::StopSignal::catch()?;
    let folder = settings.data_dir.join("sandbox");
    std::fs::create_dir_all(&settings.data_dir)?;
    let sandbox = Sandbox::start(Options::new(settings.sandbox.listen, Some(folder))).await?;
    println!("sandbox on http://{}", sandbox.local_addr());
    stop.received().await;
    sandbox.stop().await?;
    Ok(())
}
