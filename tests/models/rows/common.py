"""What all families share, which has no rows."""

ROWS = []

EXEMPT = {
    "models.composite.Composite": "abstract",
    "models.wiring.Stage": "a record",
    "models.backbones.base.Backbone": "abstract",
    "models.backbones.base.Level": "a record",
    "models.backbones.base.Step": "a record",
    "models.assembly.Assembly": "made of other rows; its own tests put them together",
    "models.component.Component": "abstract",
    "models.component.Part": "abstract",
    "models.component.Unbuilt": "a recipe, not a network",
    "models.component.UnbuiltError": "an error",
    "models.component.Feeds": "a record",
    "models.sizing.Sized": "abstract",
    "models.sizing.SizeError": "an error",
    "models.graph.Node": "a record",
    "models.graph.Plan": "a record",
    "models.graph.Source": "a record",
    "models.utils.weights.Report": "a record",
    "models.utils.published.Asked": "what weights are named: no module",
    "models.utils.published.Found": "where named weights are: no module",
    "models.utils.summary.Row": "a record",
}
EXEMPT |= {
    "models.utils.align.Alignment": "a record",
    "models.utils.align.Layer": "a record",
    "models.utils.layouts.Layout": "a record",
    "models.utils.maps.OfMaps": "a neck or head of other rows, as it is exported",
    "models.writing.docstrings.Documentation": "a record",
    "models.writing.layout.Box": "a record",
}
