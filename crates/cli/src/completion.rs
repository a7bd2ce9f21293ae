//! `countersign completion`: prints scripts that complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `countersign completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  countersign completion bash > /etc/bash_completion.d/countersign
  countersign completion zsh > \"${fpath[1]}/_countersign\"
  countersign completion fish > ~/.config/fish/completions/countersign.fish")]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script of a shell.
pub(crate) fn run(args: &CompletionArgs, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "countersign", &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
