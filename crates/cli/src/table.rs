//! Text in aligned columns, for people.

use countersign_check::printable;

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    has_heading: bool,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self {
            rows: vec![columns.map(str::to_owned).to_vec()],
            has_heading: true,
        }
    }

    /// Rows without a heading: names and values.
    pub(crate) fn headless() -> Self {
        Self {
            rows: Vec::new(),
            has_heading: false,
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(printable).to_vec());
    }

    /// The lines, each column as wide as its widest cell. Nothing under a heading is
    /// said in words.
    pub(crate) fn text(&self) -> String {
        if self.has_heading && self.rows.len() == 1 {
            return "none yet\n".to_owned();
        }
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..columns).map(|column| self.width(column)).collect()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_clean() {
        let mut table = Table::new(["ID", "LOGIN", "STATE"]);
        table.row(["7", "é", "active"]);
        table.row(["100001", "partner", ""]);
        let expected = "ID      LOGIN    STATE\n7       é        active\n100001  partner\n";
        assert_eq!(table.text(), expected);
    }

    #[test]
    fn a_heading_does_not_stand_alone() {
        assert_eq!(Table::new(["ID", "LOGIN"]).text(), "none yet\n");
        assert_eq!(Table::headless().text(), "");
    }

    #[test]
    fn a_cell_cannot_colour_the_terminal_or_break_the_line() {
        let mut table = Table::headless();
        table.row(["a\u{1b}[31m\r\nb\u{9b}0m"]);
        let text = table.text();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
    }
}
