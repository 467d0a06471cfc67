# ünïcödé, before the call: 🎉
source = rest_api_source({
    "client": {"base_url": r"https://api.example.com/a\b", "headers": {"null": "null", "yes": "No", "1": "1.0", "": "", "a: b": "c #d", " x ": "- y", "é": "\u2028\x07\ud83d", "multi": """one
  two
""", "tab": "\t", "k'": "'", 'k"': '"', "date": "2024-01-01", "star": "*a", "amp": "&a", "tilde": "~", "at": "@a", 7: "seven", True: "b"}},
    "resources": [{"name": "🎉", "endpoint": {"path": "/{a}/{{b}}", "params": {"json": '{"a": [1, 2]}', "long": "x" "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", "float": 1.50, "exp": 1e22, "neg": -0.5, "hex": 0xFF, "none": None, "empty": [], "nothing": {}}}}],
})
