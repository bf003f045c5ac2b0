"""timm's other layouts of networks whose attributes here are timm's."""

TABLES: dict[str, dict[str, str]] = {
    # features_only networks write the place in a list behind the name: stages_0.
    "timm_features": {r"^(stages|blocks|features)_(\d+)\.": r"\1.\2."},
}
