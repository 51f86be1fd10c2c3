//! The older text format, for readers that do not ask for OpenMetrics.

/// OpenMetrics text as Prometheus text of version 0.0.4: there a counter's description bears the name of its samples, with
/// `_total`, and there are no units and no end mark.
pub fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(help) = line.strip_prefix("# HELP ") else {
            if !line.starts_with("# UNIT ") && line != "# EOF" {
                text.extend([line, "\n"]);
            }
            continue;
        };
        let (name, words) = help.split_once(' ').unwrap_or((help, ""));
        let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        let (kind, suffix) = match kind.unwrap_or_default() {
            "counter" => ("counter", "_total"),
            "unknown" => ("untyped", ""),
            "info" => ("gauge", "_info"),
            other => (other, ""),
        };
        text.push_str(&format!("# HELP {name}{suffix} {words}\n# TYPE {name}{suffix} {kind}\n"));
        // The description of the type, told just now.
        lines.next();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_bear_the_names_of_samples() {
        let open = "# HELP a Words of it.\n# TYPE a counter\n# UNIT a bytes\na_total{b=\"# EOF\"} 1\n\
                    # HELP c Less.\n# TYPE c gauge\nc 2\n# HELP d D.\n# TYPE d info\nd_info{e=\"f\"} 1\n# EOF\n";
        let expected = "# HELP a_total Words of it.\n# TYPE a_total counter\na_total{b=\"# EOF\"} 1\n\
                        # HELP c Less.\n# TYPE c gauge\nc 2\n# HELP d_info D.\n# TYPE d_info gauge\nd_info{e=\"f\"} 1\n";
        assert_eq!(plain(open), expected);
    }
}
