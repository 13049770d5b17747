//! Unicode properties: checks `\p{…}` against ECMA-262's closed list of names, with case.
//!
//! The engine accepts many more (`\p{Greek}`, `\p{letter}`), which other languages refuse. A schema is constant, so
//! they could never use it. The list is that of ECMA-262 (tables 67 to 69) without `Surrogate`, `Unknown` and
//! `Changes_When_NFKC_Casefolded`, which the engine does not have.

/// Values of `General_Category`, which also stand alone.
const GENERAL_CATEGORIES: &str = "\
    C Cased_Letter Cc Cf Close_Punctuation Cn cntrl Co Combining_Mark Connector_Punctuation Control \
    Currency_Symbol Dash_Punctuation Decimal_Number digit Enclosing_Mark Final_Punctuation Format \
    Initial_Punctuation L LC Letter Letter_Number Line_Separator Ll Lm Lo Lowercase_Letter Lt Lu M Mark \
    Math_Symbol Mc Me Mn Modifier_Letter Modifier_Symbol N Nd Nl No Nonspacing_Mark Number Open_Punctuation Other \
    Other_Letter Other_Number Other_Punctuation Other_Symbol P Paragraph_Separator Pc Pd Pe Pf Pi Po Private_Use \
    Ps punct Punctuation S Sc Separator Sk Sm So Space_Separator Spacing_Mark Symbol Titlecase_Letter Unassigned \
    Uppercase_Letter Z Zl Zp Zs";

/// Properties that are true or false.
const BINARY: &str = "\
    AHex Alpha Alphabetic Any ASCII ASCII_Hex_Digit Assigned Bidi_C Bidi_Control Bidi_M Bidi_Mirrored \
    Case_Ignorable Cased Changes_When_Casefolded Changes_When_Casemapped Changes_When_Lowercased \
    Changes_When_Titlecased Changes_When_Uppercased CI CWCF CWCM CWL CWT CWU Dash Default_Ignorable_Code_Point Dep \
    Deprecated DI Dia Diacritic EBase EComp EMod Emoji Emoji_Component Emoji_Modifier Emoji_Modifier_Base \
    Emoji_Presentation EPres Ext Extended_Pictographic Extender ExtPict Gr_Base Gr_Ext Grapheme_Base \
    Grapheme_Extend Hex Hex_Digit ID_Continue ID_Start IDC Ideo Ideographic IDS IDS_Binary_Operator \
    IDS_Trinary_Operator IDSB IDST Join_C Join_Control LOE Logical_Order_Exception Lower Lowercase Math NChar \
    Noncharacter_Code_Point Pat_Syn Pat_WS Pattern_Syntax Pattern_White_Space QMark Quotation_Mark Radical \
    Regional_Indicator RI SD Sentence_Terminal Soft_Dotted space STerm Term Terminal_Punctuation UIdeo \
    Unified_Ideograph Upper Uppercase Variation_Selector VS White_Space XID_Continue XID_Start XIDC XIDS";

/// Values of `Script` and of `Script_Extensions`.
const SCRIPTS: &str = "\
    Adlam Adlm Aghb Ahom Anatolian_Hieroglyphs Arab Arabic Armenian Armi Armn Avestan Avst Bali Balinese Bamu \
    Bamum Bass Bassa_Vah Batak Batk Beng Bengali Bhaiksuki Bhks Bopo Bopomofo Brah Brahmi Brai Braille Bugi \
    Buginese Buhd Buhid Cakm Canadian_Aboriginal Cans Cari Carian Caucasian_Albanian Chakma Cham Cher Cherokee \
    Chorasmian Chrs Common Copt Coptic Cpmn Cprt Cuneiform Cypriot Cypro_Minoan Cyrillic Cyrl Deseret Deva \
    Devanagari Diak Dives_Akuru Dogr Dogra Dsrt Dupl Duployan Egyp Egyptian_Hieroglyphs Elba Elbasan Elym Elymaic \
    Ethi Ethiopic Gara Garay Geor Georgian Glag Glagolitic Gong Gonm Goth Gothic Gran Grantha Greek Grek Gujarati \
    Gujr Gukh Gunjala_Gondi Gurmukhi Guru Gurung_Khema Han Hang Hangul Hani Hanifi_Rohingya Hano Hanunoo Hatr \
    Hatran Hebr Hebrew Hira Hiragana Hluw Hmng Hmnp Hung Imperial_Aramaic Inherited Inscriptional_Pahlavi \
    Inscriptional_Parthian Ital Java Javanese Kaithi Kali Kana Kannada Katakana Kawi Kayah_Li Khar Kharoshthi \
    Khitan_Small_Script Khmer Khmr Khoj Khojki Khudawadi Kirat_Rai Kits Knda Krai Kthi Lana Lao Laoo Latin Latn \
    Lepc Lepcha Limb Limbu Lina Linb Linear_A Linear_B Lisu Lyci Lycian Lydi Lydian Mahajani Mahj Maka Makasar \
    Malayalam Mand Mandaic Mani Manichaean Marc Marchen Masaram_Gondi Medefaidrin Medf Meetei_Mayek Mend \
    Mende_Kikakui Merc Mero Meroitic_Cursive Meroitic_Hieroglyphs Miao Mlym Modi Mong Mongolian Mro Mroo Mtei Mult \
    Multani Myanmar Mymr Nabataean Nag_Mundari Nagm Nand Nandinagari Narb Nbat New_Tai_Lue Newa Nko Nkoo Nshu \
    Nushu Nyiakeng_Puachue_Hmong Ogam Ogham Ol_Chiki Ol_Onal Olck Old_Hungarian Old_Italic Old_North_Arabian \
    Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Onao Oriya Orkh Orya Osage Osge \
    Osma Osmanya Ougr Pahawh_Hmong Palm Palmyrene Pau_Cin_Hau Pauc Perm Phag Phags_Pa Phli Phlp Phnx Phoenician \
    Plrd Prti Psalter_Pahlavi Qaac Qaai Rejang Rjng Rohg Runic Runr Samaritan Samr Sarb Saur Saurashtra Sgnw \
    Sharada Shavian Shaw Shrd Sidd Siddham SignWriting Sind Sinh Sinhala Sogd Sogdian Sogo Sora Sora_Sompeng Soyo \
    Soyombo Sund Sundanese Sunu Sunuwar Sylo Syloti_Nagri Syrc Syriac Tagalog Tagb Tagbanwa Tai_Le Tai_Tham \
    Tai_Viet Takr Takri Tale Talu Tamil Taml Tang Tangsa Tangut Tavt Telu Telugu Tfng Tglg Thaa Thaana Thai \
    Tibetan Tibt Tifinagh Tirh Tirhuta Tnsa Todhri Todr Toto Tulu_Tigalari Tutg Ugar Ugaritic Vai Vaii Vith \
    Vithkuqi Wancho Wara Warang_Citi Wcho Xpeo Xsux Yezi Yezidi Yi Yiii Zanabazar_Square Zanb Zinh Zyyy";

/// Why the text between the braces of `\p{…}` is not taken.
pub(super) fn refuse(property: &str) -> Option<String> {
    let known = match property.split_once('=') {
        None => has(GENERAL_CATEGORIES, property) || has(BINARY, property),
        Some(("General_Category" | "gc", value)) => has(GENERAL_CATEGORIES, value),
        Some(("Script" | "sc" | "Script_Extensions" | "scx", value)) => has(SCRIPTS, value),
        Some(_) => false,
    };
    if known {
        return None;
    }
    let instead = suggestion(property).map_or_else(
        || "it has General_Category, Script and Script_Extensions with their values, and a closed list of others, as in \\p{Letter}, \\p{Script=Greek}".to_owned(),
        |instead| format!("write \\p{{{instead}}}"),
    );
    Some(format!(
        "ECMA-262 has no property \\p{{{property}}}; {instead}"
    ))
}

fn has(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|known| known == name)
}

/// The name in the list for a spelling of Perl, Java or Unicode's loose matching.
fn suggestion(property: &str) -> Option<String> {
    let (name, value) = match property.split_once('=') {
        Some((name, value)) => (loose(name), loose(value)),
        None => (String::new(), loose(property)),
    };
    let find = |names: &'static str, value: &str| {
        let mut names = names.split_ascii_whitespace();
        names.find(|known| loose(known) == value)
    };
    let short = value.strip_prefix("is").filter(|_| name.is_empty());
    let values = std::iter::once(&*value).chain(short);
    for value in values {
        let general = || find(GENERAL_CATEGORIES, value).map(str::to_owned);
        let script = |name| find(SCRIPTS, value).map(|script| format!("{name}={script}"));
        let found = match &*name {
            "" => general()
                .or_else(|| find(BINARY, value).map(str::to_owned))
                .or_else(|| script("Script")),
            "generalcategory" | "gc" | "category" => general(),
            "script" | "sc" | "block" | "blk" => script("Script"),
            "scriptextensions" | "scx" => script("Script_Extensions"),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Without case and separators.
fn loose(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_that_is_taken_has_a_meaning_in_the_engine() {
        let values = |names: &'static str, prefixes: &'static [&'static str]| {
            names
                .split_ascii_whitespace()
                .flat_map(move |name| prefixes.iter().map(move |prefix| format!("{prefix}{name}")))
        };
        let all = values(GENERAL_CATEGORIES, &["", "gc=", "General_Category="])
            .chain(values(BINARY, &[""]))
            .chain(values(
                SCRIPTS,
                &["sc=", "Script=", "scx=", "Script_Extensions="],
            ));
        for property in all {
            assert_eq!(refuse(&property), None);
            let expression = format!("\\p{{{property}}}");
            regex_syntax::Parser::new().parse(&expression).unwrap();
        }
    }

    #[test]
    fn a_property_that_ecma_262_does_not_have_is_refused_with_the_one_that_is_meant() {
        for (property, instead) in [
            ("Greek", "write \\p{Script=Greek}"),
            ("IsGreek", "write \\p{Script=Greek}"),
            ("greek", "write \\p{Script=Greek}"),
            ("Grek", "write \\p{Script=Grek}"),
            ("script=Greek", "write \\p{Script=Greek}"),
            ("Script=greek", "write \\p{Script=Greek}"),
            ("scx=greek", "write \\p{Script_Extensions=Greek}"),
            ("letter", "write \\p{Letter}"),
            ("l", "write \\p{L}"),
            ("IsL", "write \\p{L}"),
            ("lu", "write \\p{Lu}"),
            ("uppercase_letter", "write \\p{Uppercase_Letter}"),
            ("UppercaseLetter", "write \\p{Uppercase_Letter}"),
            ("gc=lu", "write \\p{Lu}"),
            ("alphabetic", "write \\p{Alphabetic}"),
            ("IsAlphabetic", "write \\p{Alphabetic}"),
            ("any", "write \\p{Any}"),
            ("gcb=Prepend", "it has General_Category"),
            ("Block=Basic_Latin", "it has General_Category"),
            ("Age=6.0", "it has General_Category"),
            ("L=Lu", "it has General_Category"),
            ("sc=Lu", "it has General_Category"),
            ("InGreek", "it has General_Category"),
            ("RGI_Emoji", "it has General_Category"),
            ("Surrogate", "it has General_Category"),
            ("", "it has General_Category"),
        ] {
            let reason = refuse(property).unwrap();
            assert!(reason.contains(instead), "{property}: {reason}");
        }
    }
}
