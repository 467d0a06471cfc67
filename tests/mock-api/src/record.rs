//! What a record holds: a pure function of seed, collection, parent, index and revision.
//!
//! The shapes are those that make a loader work: objects in objects, lists of scalars, of objects and of lists, nulls,
//! absent fields, timestamps with and without fraction and offset, text beyond ASCII, integers up to the largest of 64
//! bits, doubles, booleans, camelCase keys. A field has one type in all records, so that no column needs a variant.

use crate::collection::{Collection, Parent, app_id, model_id, record_id};
use crate::json::Json;
use crate::options::Options;

/// Texts as people write them.
const TITLES: [&str; 8] = [
    "Harbour cameras",
    "Défauts de soudure",
    "Zählerstände \"Süd\"",
    "衛星画像",
    "Пробы воды",
    "عينات التربة",
    "Line 4\tback\\slash",
    "🌲 tree crowns",
];

/// Words for lists of scalars.
const WORDS: [&str; 6] = ["vision", "ocr", "lørdag", "night", "多言語", "draft"];

/// Appends the record of this index to the list in the making.
pub(crate) fn write(json: &mut Json, options: &Options, collection: Collection, parent: Parent, index: u64) {
    let record = Record::new(options, collection, parent, index);
    json.object(|o| {
        o.field("id", record_id(options, collection, parent, index));
        match parent {
            Parent::User => {}
            Parent::App { app } => {
                o.field("appId", app_id(options, app));
            }
            Parent::Model { app, model } => {
                o.field("appId", app_id(options, app)).field("modelId", model_id(options, app, model));
            }
        }
        o.field("userId", &options.user);
        o.field("createdAt", record.time(1, "Z")).field("modifiedAt", record.time(record.edition + 2, ".250Z"));
        match collection {
            Collection::Applications => record.application(o),
            Collection::Datasets => record.dataset(o),
            Collection::Models => record.model(o),
            Collection::ModelVersions => record.model_version(o),
            Collection::Workflows => record.workflow(o),
            Collection::AppInputs => record.input(o),
            Collection::AppInputsJobs => record.job(o),
            Collection::AppConcepts => record.concept(o),
        }
    });
}

/// The numbers that decide a record's fields.
struct Record {
    /// Stays over all revisions.
    base: u64,
    /// The revision, for the records that change with it; 0 for the others.
    edition: u64,
    index: u64,
}

impl Record {
    fn new(options: &Options, collection: Collection, parent: Parent, index: u64) -> Self {
        let (app, model) = match parent {
            Parent::User => (0, 0),
            Parent::App { app } => (app + 1, 0),
            Parent::Model { app, model } => (app + 1, model + 1),
        };
        let base = [collection as u64, app, model, index].into_iter().fold(mix(options.seed), |key, n| mix(key ^ n));
        let edition = if index.is_multiple_of(3) { options.revision } else { 0 };
        Self { base, edition, index }
    }

    /// A number below `limit`, one for each `salt`.
    fn number(&self, salt: u64, limit: u64) -> u64 {
        mix(self.base ^ salt.rotate_left(32)) % limit
    }

    /// The length of a list, below 4: another one in the next revision.
    fn length(&self, salt: u64) -> u64 {
        (self.number(salt, 4) + self.edition) % 4
    }

    /// True once in `n`.
    fn once_in(&self, salt: u64, n: u64) -> bool {
        self.number(salt, n) == 0
    }

    /// A double with a fraction, so that it is one in every record: from 0.0005 up to 0.9995.
    fn share(&self, salt: u64) -> f64 {
        (self.number(salt, 1000) as f64 + 0.5) / 1000.0
    }

    fn title(&self) -> &'static str {
        pick(&TITLES, self.number(3, 8))
    }

    /// A moment of the years 2023 to 2025, with what follows the seconds: fraction and offset.
    fn time(&self, salt: u64, end: &str) -> String {
        let part = |place: u64, limit: u64| self.number(salt * 8 + place + 1000, limit);
        let (year, month, day) = (2023 + part(1, 3), 1 + part(2, 12), 1 + part(3, 28));
        format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}{end}", part(4, 24), part(5, 60), part(6, 60))
    }

    fn application(&self, o: &mut Json) {
        o.field("name", format_args!("{} {}", self.title(), self.index));
        o.field("description", (!self.once_in(10, 3)).then(|| format!("edition {} of {}", self.edition, self.title())));
        o.field("defaultLanguage", pick(&["en", "de", "ja", "ar"], self.number(11, 4)));
        o.field("isStarred", self.once_in(12, 4)).field("starCount", self.number(13, 5000));
        // Above 2^53: a detour over a double would show.
        o.field("storedBytes", i64::MAX - self.number(14, 1 << 40) as i64);
        o.field_object("visibility", |v| {
            v.field("gettable", 10 * (1 + self.number(15, 5)));
        });
        if self.once_in(16, 2) {
            o.field_object("defaultWorkflow", |w| {
                w.field("id", format_args!("workflow-{}", self.number(17, 100))).field("versionId", None::<&str>);
            });
        }
        self.words(o, "tags", 18);
        o.field_list("collaborators", self.length(19), |list, i| {
            list.object(|c| {
                c.field("userId", format_args!("user-{}", self.number(20 + i, 90)));
                c.field("since", self.time(30 + i, "+02:00"));
                c.field_list("scopes", 1 + i, |scopes, n| {
                    scopes.item(pick(&["read", "write", "admin"], n));
                });
            });
        });
    }

    fn dataset(&self, o: &mut Json) {
        o.field("description", (!self.once_in(10, 4)).then(|| self.title()));
        o.field("bookmarked", self.once_in(11, 5));
        o.field_object("version", |v| {
            v.field("number", self.edition + 1);
            v.field_object("status", |s| {
                s.field("code", 64_000 + self.number(12, 3)).field("description", "Dataset version is ready");
            });
            v.field_object("metrics", |m| {
                m.field("rowCount", self.number(13, 1 << 50)).field("balance", self.share(14));
            });
        });
        o.field_list("splits", self.length(15), |list, i| {
            list.object(|s| {
                s.field("name", pick(&["train", "test", "hold-out"], i)).field("share", self.share(16 + i));
            });
        });
        self.words(o, "tags", 20);
    }

    fn model(&self, o: &mut Json) {
        o.field("name", self.title())
            .field("modelTypeId", pick(&["visual-classifier", "text-to-text"], self.number(10, 2)));
        o.field("description", (!self.once_in(11, 3)).then_some("Überwacht nachts"));
        o.field("isTrainable", self.once_in(12, 2)).field("parameterCount", self.number(13, 1 << 60));
        o.field_object("outputInfo", |info| {
            info.field("message", format_args!("edition {}", self.edition));
            info.field_object("params", |p| {
                p.field("maxConcepts", self.number(14, 50)).field("minValue", self.share(15));
            });
            info.field_object("data", |data| self.concepts(data, 16));
        });
        if !self.once_in(17, 3) {
            self.words(o, "useCases", 18);
        }
    }

    fn model_version(&self, o: &mut Json) {
        o.field("number", self.index + 1).field("totalInputCount", self.number(10, 1 << 55));
        o.field("completedAt", (!self.once_in(11, 3)).then(|| self.time(12, ".123456Z")));
        o.field_object("status", |s| {
            s.field("code", 21_100 + self.edition).field("description", "Model is trained and ready");
        });
        if self.once_in(13, 3) {
            o.field_object("pretrainedModelConfig", |c| {
                c.field("modelZipUrl", "https://example.invalid/m.zip?sig=%2B").field("overwrite", true);
            });
        }
        o.field_list("lossCurve", self.length(14), |list, i| {
            list.object(|p| {
                p.field("epoch", i + 1).field("globalStep", (i + 1) * 1000).field("cost", self.share(15 + i));
            });
        });
    }

    fn workflow(&self, o: &mut Json) {
        o.field("description", None::<&str>).field("checksum", format_args!("{:016x}", self.base));
        o.field_list("nodes", 1 + self.length(10), |list, i| {
            list.object(|n| {
                n.field("id", format_args!("node-{i}"));
                n.field_object("model", |m| {
                    m.field("id", format_args!("model-{}", self.number(11 + i, 40)));
                    m.field_object("modelVersion", |v| {
                        v.field("id", format_args!("{:08x}", self.number(20 + i, 1 << 32)));
                    });
                });
                // The first node has no inputs, and no such field.
                if i > 0 {
                    n.field_list("nodeInputs", i, |inputs, before| {
                        inputs.object(|input| {
                            input.field("nodeId", format_args!("node-{before}"));
                        });
                    });
                }
            });
        });
    }

    fn input(&self, o: &mut Json) {
        o.field_object("status", |s| {
            s.field("code", 30_000 + self.edition).field("description", "Download complete");
        });
        o.field_list("datasetIds", self.length(10), |list, i| {
            list.item(format_args!("dataset-{}", self.number(11 + i, 9)));
        });
        o.field_object("data", |data| {
            if self.once_in(20, 4) {
                data.field_object("text", |t| {
                    t.field("raw", format_args!("{}\nsecond line, edition {}", self.title(), self.edition));
                });
            } else {
                data.field_object("image", |image| {
                    image.field("url", format_args!("https://example.invalid/i/{:016x}.jpg", self.base));
                    image.field("allowDuplicateUrl", self.once_in(21, 2));
                    image.field_object("imageInfo", |info| {
                        info.field("width", 640 + self.number(22, 1000)).field("height", 480 + self.number(23, 1000));
                        info.field("format", "JPEG").field("sizeBytes", i64::MAX - self.index as i64);
                    });
                });
            }
            data.field_object("metadata", |m| {
                m.field("source", self.title()).field("capturedAt", self.time(24, "+05:30"));
                m.field("batteryLevel", (!self.once_in(25, 3)).then(|| self.share(26)));
                m.field_object("extra", |_| {});
            });
            self.concepts(data, 27);
            if self.once_in(35, 4) {
                data.field_list("regions", 1 + self.length(36), |list, i| self.region(list, i));
            }
        });
    }

    fn region(&self, list: &mut Json, index: u64) {
        list.object(|r| {
            r.field("id", format_args!("region-{index}")).field("value", self.share(40 + index));
            r.field_object("regionInfo", |info| {
                info.field_object("boundingBox", |b| {
                    b.field("topRow", self.share(50 + index)).field("leftCol", self.share(60 + index));
                });
                info.field_list("polygon", 3, |polygon, corner| {
                    polygon.list(2, |point, axis| {
                        point.item(self.share(70 + 10 * index + 2 * corner + axis));
                    });
                });
            });
        });
    }

    fn job(&self, o: &mut Json) {
        o.field("callBackUrl", None::<&str>).field("cancelled", self.once_in(10, 6));
        o.field_object("progress", |p| {
            p.field("pendingCount", self.number(11, 100)).field("inProgressCount", self.edition);
            p.field("successCount", self.number(12, 1 << 45)).field("failedCount", 0);
        });
        o.field_list("uploads", self.length(13), |list, i| {
            list.object(|u| {
                u.field("id", format_args!("upload-{i}"))
                    .field("contentLength", i64::MIN + self.number(14 + i, 99) as i64);
                u.field("expiresAt", (i > 0).then(|| self.time(18 + i, "Z")));
            });
        });
    }

    fn concept(&self, o: &mut Json) {
        o.field("name", self.title()).field("language", pick(&["en", "fr", "zh"], self.number(10, 3)));
        o.field("definition", format_args!("édition {}", self.edition)).field("value", self.share(11));
        if self.once_in(12, 3) {
            o.field("vocabId", "wörter");
        }
        self.words(o, "synonyms", 13);
    }

    /// A list of scalars; empty for some records.
    fn words(&self, o: &mut Json, key: &str, salt: u64) {
        o.field_list(key, self.length(salt), |list, i| {
            list.item(pick(&WORDS, self.number(salt + 100, 6) + i));
        });
    }

    /// A list of objects; empty for some records.
    fn concepts(&self, o: &mut Json, salt: u64) {
        o.field_list("concepts", self.length(salt), |list, i| {
            list.object(|c| {
                c.field("id", format_args!("c_{}", self.number(salt + 1 + i, 400)));
                c.field("name", pick(&TITLES, self.number(salt + 1 + i, 8))).field("value", self.share(salt + 1 + i));
            });
        });
    }
}

/// The choice of this number, which may be any.
fn pick(choices: &[&'static str], number: u64) -> &'static str {
    choices.get(number as usize % choices.len().max(1)).copied().unwrap_or_default()
}

/// The output step of SplitMix64: each input has its own, well-spread output.
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn record(options: &Options, collection: Collection, index: u64) -> Value {
        let mut json = Json::default();
        let parent = collection.parents(options)[0];
        write(&mut json, options, collection, parent, index);
        serde_json::from_slice(&json.into_bytes()).unwrap()
    }

    #[test]
    fn same_options_same_record_and_another_seed_another() {
        let options = Options::default();
        let other = Options { seed: 2, ..Options::default() };
        for collection in Collection::ALL {
            assert_eq!(record(&options, collection, 1), record(&options, collection, 1));
            assert_ne!(record(&options, collection, 1), record(&other, collection, 1));
        }
    }

    #[test]
    fn a_revision_changes_every_third_record() {
        let (first, second) = (Options::default(), Options { revision: 1, ..Options::default() });
        for collection in Collection::ALL {
            for index in 0..9 {
                let (before, after) = (record(&first, collection, index), record(&second, collection, index));
                assert_eq!(before["id"], after["id"]);
                assert_eq!(before == after, index % 3 != 0, "{collection:?} {index}");
            }
            assert_ne!(lists(&record(&first, collection, 0)), lists(&record(&second, collection, 0)), "{collection:?}");
        }
    }

    /// The lengths of all lists.
    fn lists(value: &Value) -> Vec<usize> {
        match value {
            Value::Object(fields) => fields.values().flat_map(lists).collect(),
            Value::Array(items) => std::iter::once(items.len()).chain(items.iter().flat_map(lists)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_records_of_a_few_parents_hold_every_shape() {
        let options = Options { inputs: 60, ..Options::default() };
        let inputs: Vec<Value> = (0..60).map(|index| record(&options, Collection::AppInputs, index)).collect();
        assert!(inputs.iter().any(|r| r["data"]["text"]["raw"].is_string()));
        assert!(inputs.iter().any(|r| r["data"].get("text").is_none()));
        assert!(inputs.iter().any(|r| r["data"]["metadata"]["batteryLevel"].is_null()));
        assert!(inputs.iter().any(|r| r["data"]["metadata"]["batteryLevel"].is_f64()));
        assert!(inputs.iter().any(|r| r["data"]["regions"][0]["regionInfo"]["polygon"][0][1].is_f64()));
        assert!(inputs.iter().any(|r| r["datasetIds"][0].is_string()));
        assert!(inputs.iter().any(|r| r["data"]["image"]["imageInfo"]["sizeBytes"].as_i64() > Some(1 << 62)));
    }
}
