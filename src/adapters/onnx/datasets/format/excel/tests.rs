//! Workbooks that no fixture can be: bombs, chains that lead astray, claims that are not true.

use super::*;
use crate::datasets::table::Depth;
use delta_domain::dialect::Dialect;
use std::io::Write as _;

fn inspected(path: &Path) -> Result<(), String> {
    let said = Dialect::default();
    let opening = Opening {
        said: &said,
        header: true,
        noised: false,
        types: &crate::datasets::table::UNTYPED,
    };
    let table = open(path, opening).map_err(|f| f.message);
    let inspected = table?.inspect(&["a".to_owned()], Depth::Whole);
    inspected.map_err(|f| f.message)
}

/// A workbook of one sheet with these cells, and these texts.
fn xlsx(path: &Path, sheet: &str, texts: &str) {
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let parts = [
        (
            "_rels/.rels",
            format!(
                "<Relationships><Relationship Id='r1' Type='{relations}/officeDocument' Target='xl/workbook.xml'/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns:r='{relations}'><sheets><sheet name='one' sheetId='1' r:id='r1'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships><Relationship Id='r1' Type='{relations}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet>{sheet}</worksheet>"),
        ),
        ("xl/sharedStrings.xml", texts.to_owned()),
    ];
    let parts: Vec<(&str, &[u8])> = { parts.iter() }
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    crate::datasets::format::zip_of(path, &parts, true);
}

const HEADER: &str = "<row r='1'><c r='A1' t='inlineStr'><is><t>a</t></is></c></row>";

#[test]
fn claims_of_a_sheet_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.xlsx");
    let texts = "<sst uniqueCount='0'></sst>";
    let huge = "<dimension ref='A1:XFD1048576'/>";
    let far = "<row r='1048576'><c r='A1048576'><v>1</v></c></row>";
    let data = format!("{huge}<sheetData>{HEADER}{far}</sheetData>");
    xlsx(&path, &data, texts);
    assert_eq!(inspected(&path), Ok(()));
    for (cell, word) in [
        (
            "<row r='1048577'><c r='A1048577'><v>1</v></c></row>",
            "outside",
        ),
        ("<row r='2'><c r='XFE2'><v>1</v></c></row>", "outside"),
        ("<row r='4294967297'><c><v>1</v></c></row>", ""),
        (
            "<row r='3'><c r='A3'><v>1</v></c></row><row r='2'><c r='A2'><v>1</v></c></row>",
            "order",
        ),
        ("<row r='2'><c r='A2' t='s'><v>9</v></c></row>", "damaged"),
        ("<row r='2'><c r='A2'><v>1</v>", "damaged"),
    ] {
        xlsx(
            &path,
            &format!("<sheetData>{HEADER}{cell}</sheetData>"),
            texts,
        );
        let said = inspected(&path);
        assert!(
            said.as_ref().is_err_and(|s| s.contains(word)),
            "{cell}: {said:?}"
        );
    }
    let data = format!("<sheetData>{HEADER}</sheetData>");
    for claim in ["1000000000000", "99999999999999999999999999", "4000"] {
        xlsx(&path, &data, &format!("<sst uniqueCount='{claim}'></sst>"));
        let said = inspected(&path).unwrap_err();
        assert!(said.contains("more texts than there are"), "{said}");
    }
}

#[test]
fn columns_are_called_as_in_workbooks() {
    for (column, name) in [
        (0, "A"),
        (25, "Z"),
        (26, "AA"),
        (701, "ZZ"),
        (702, "AAA"),
        (16_383, "XFD"),
    ] {
        assert_eq!(letters(column), name);
    }
}

#[test]
fn cells_of_documents_that_stand_for_too_many_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.ods");
    let made = |rows: &str| {
        let content = format!(
            "<office:document-content><office:body><office:spreadsheet><table:table table:name='one'>\
             <table:table-row><table:table-cell office:value-type='string'><text:p>a</text:p></table:table-cell></table:table-row>{rows}\
             </table:table></office:spreadsheet></office:body></office:document-content>"
        );
        crate::datasets::format::zip_of(&path, &[("content.xml", content.as_bytes())], true);
        inspected(&path)
    };
    let cell = "<table:table-cell office:value-type='float' office:value='1'/>";
    let row = |times: &str| {
        format!("<table:table-row table:number-rows-repeated='{times}'>{cell}</table:table-row>")
    };
    assert_eq!(made(&row("1000")), Ok(()));
    assert!(made(&row("1048576")).unwrap_err().contains("outside"));
    assert!(made(&row("99999999999")).unwrap_err().contains("damaged"));
    let wide = cell.replace("/>", " table:number-columns-repeated='16000'/>");
    let wide =
        format!("<table:table-row table:number-rows-repeated='100000'>{wide}</table:table-row>");
    assert!(made(&wide).is_err());
    assert!(made("<table:table-row>").is_err());
    let entity = cell.replace("/>", "><text:p>&nothing;</text:p></table:table-cell>");
    assert!(made(&format!("<table:table-row>{entity}</table:table-row>")).is_err());
}

#[test]
fn an_archive_is_read_through_before_its_parts_are_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.xlsx");
    let cells =
        format!("<sheetData>{HEADER}<row r='2'><c r='A2'><v>12345</v></c></row></sheetData>");
    let mut bytes = Vec::new();
    {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(&mut bytes));
        zip.start_file("xl/worksheets/sheet1.xml", options).unwrap();
        zip.write_all(cells.as_bytes()).unwrap();
        zip.finish().unwrap();
    }
    let at = bytes.windows(5).position(|w| w == b"12345").unwrap();
    bytes[at] = b'9';
    std::fs::write(&path, &bytes).unwrap();
    let said = inspected(&path).unwrap_err();
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn old_workbooks_are_packed_anew() {
    for length in [0, 1, 5000, 70_000, 8_000_000] {
        let stream: Vec<u8> = (0..length).map(|i: usize| (i % 251) as u8).collect();
        let file = biff::packed(&stream).unwrap();
        let again = biff::Folder::of(&file).unwrap().workbook().unwrap();
        assert_eq!(again.get(..length), Some(stream.as_slice()), "{length}");
        assert!(again[length..].iter().all(|b| *b == 0));
    }
}

#[test]
fn chains_that_lead_astray_are_damage() {
    let file = biff::packed(&[7; 5000]).unwrap();
    let table = file.len() - 512;
    for next in [0_u32, 1, 9, 10, 500, 0xffff_fff9] {
        // Of a sector of the workbook, and of the folder.
        for sector in [3, 10] {
            let mut file = file.clone();
            file[table + sector * 4..][..4].copy_from_slice(&next.to_le_bytes());
            let read = biff::Folder::of(&file).and_then(|f| f.workbook());
            let whole = read.as_ref().is_ok_and(|stream| stream.len() == 5000);
            assert!(read.is_err() || whole || sector == 3, "{sector} {next}");
        }
    }
    for end in [0, 30, 511, 512, 600, file.len() - 513] {
        assert!(biff::judged(&file[..end]).is_err(), "{end}");
    }
}

#[test]
fn old_sheets_that_reach_too_far_are_refused() {
    let record = |kind: u16, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap();
        [&kind.to_le_bytes(), &length.to_le_bytes(), content].concat()
    };
    let begin = record(0x0809, &[0, 6, 5, 0]);
    let end = record(0x000a, &[]);
    let made = |cells: &[Vec<u8>]| {
        let mut sheet = [0_u8; 10];
        let head = begin.len() + record(0x0085, &sheet).len() + end.len();
        sheet[..4].copy_from_slice(&u32::try_from(head).unwrap().to_le_bytes());
        let globals = [begin.clone(), record(0x0085, &sheet), end.clone()].concat();
        let stream = [globals, begin.clone(), cells.concat(), end.clone()].concat();
        biff::sheets(&stream)
    };
    let number = |row: u16, column: u16| {
        let mut content = vec![0; 14];
        content[..2].copy_from_slice(&row.to_le_bytes());
        content[2..4].copy_from_slice(&column.to_le_bytes());
        record(0x0203, &content)
    };
    assert!(made(&[number(0, 0), number(65_535, 255)]).is_ok());
    assert!(made(&[number(0, 0), number(65_535, 256)]).is_err());
    let mut dimensions = vec![0; 14];
    dimensions[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    dimensions[10] = 3;
    assert!(made(&[record(0x0200, &dimensions)]).is_err());
    assert!(made(&[record(0x0203, &[1])]).is_err());
}
