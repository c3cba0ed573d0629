package dashboards

// The parts of Grafana's dashboards that we use, as its JSON has them (grafana.com/docs, "Dashboard JSON model"; of a
// panel, what Grafana 11 writes when a dashboard is exported). Values are written as they are read: Read and Generate
// are each other's inverse.
type (
	// Dashboard is one page.
	Dashboard struct {
		UID                  string      `json:"uid"`
		Title                string      `json:"title"`
		Description          string      `json:"description"`
		Tags                 []string    `json:"tags"`
		Editable             bool        `json:"editable"`
		GraphTooltip         int         `json:"graphTooltip"` // 1: one crosshair for all
		SchemaVersion        int         `json:"schemaVersion"`
		Version              int         `json:"version"`
		Refresh              string      `json:"refresh"`
		Time                 Range       `json:"time"`
		Timezone             string      `json:"timezone"`
		WeekStart            string      `json:"weekStart"`
		FiscalYearStartMonth int         `json:"fiscalYearStartMonth"`
		Annotations          Annotations `json:"annotations"`
		Templating           Templating  `json:"templating"`
		Links                []Link      `json:"links"`
		Panels               []Panel     `json:"panels"`
	}
	// Range is the time that is shown.
	Range struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	// Annotations is the list of them.
	Annotations struct {
		List []Annotation `json:"list"`
	}
	// Annotation marks moments on every panel.
	Annotation struct {
		Name        string `json:"name"`
		Source      Source `json:"datasource"`
		Enable      bool   `json:"enable"`
		Hide        bool   `json:"hide"`
		IconColor   string `json:"iconColor"`
		Expr        string `json:"expr"`
		TitleFormat string `json:"titleFormat"`
		TextFormat  string `json:"textFormat"`
		Step        string `json:"step"`
	}
	// Source is a data source.
	Source struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	// Templating is the list of variables.
	Templating struct {
		List []Variable `json:"list"`
	}
	// Variable is chosen at the top of the page.
	Variable struct {
		Name       string   `json:"name"`
		Label      string   `json:"label"`
		Type       string   `json:"type"` // datasource or query
		Source     *Source  `json:"datasource,omitempty"`
		Definition string   `json:"definition,omitempty"`
		Query      any      `json:"query"` // a string, or {query, refId}
		Refresh    int      `json:"refresh"`
		Regex      string   `json:"regex"`
		Sort       int      `json:"sort"`
		Hide       int      `json:"hide"`
		IncludeAll bool     `json:"includeAll"`
		Multi      bool     `json:"multi"`
		Options    []string `json:"options"`
		AllValue   string   `json:"allValue,omitempty"`
		Current    *Current `json:"current,omitempty"`
	}
	// Current is what is chosen at first.
	Current struct {
		Text  []string `json:"text"`
		Value []string `json:"value"`
	}
	// Link leads to another page; a panel's own has a title and a URL only.
	Link struct {
		Title       string   `json:"title"`
		Type        string   `json:"type,omitempty"`
		URL         string   `json:"url"`
		Icon        string   `json:"icon,omitempty"`
		IncludeVars bool     `json:"includeVars"`
		KeepTime    bool     `json:"keepTime"`
		TargetBlank bool     `json:"targetBlank"`
		Tags        []string `json:"tags,omitempty"`
		AsDropdown  bool     `json:"asDropdown"`
		Tooltip     string   `json:"tooltip"`
	}
	// Panel is one picture, or a row's heading.
	Panel struct {
		ID              int              `json:"id"`
		Type            string           `json:"type"`
		Title           string           `json:"title"`
		Description     string           `json:"description,omitempty"`
		GridPos         GridPos          `json:"gridPos"`
		Source          *Source          `json:"datasource,omitempty"`
		Targets         []Target         `json:"targets,omitempty"`
		FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
		Options         *Options         `json:"options,omitempty"`
		Transformations []Transformation `json:"transformations,omitempty"`
		Collapsed       *bool            `json:"collapsed,omitempty"` // a row's
		Panels          []Panel          `json:"panels,omitempty"`    // a folded row's; we fold none
	}
	// GridPos is a place in 24 columns.
	GridPos struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	}
	// Target is a query.
	Target struct {
		Source   Source `json:"datasource"`
		RefID    string `json:"refId"`
		Expr     string `json:"expr"`
		Legend   string `json:"legendFormat"`
		Range    bool   `json:"range"`
		Instant  bool   `json:"instant"`
		Format   string `json:"format,omitempty"`
		Interval string `json:"interval,omitempty"` // "Min step": how often what is asked for is scraped
	}
	// FieldConfig says how values look.
	FieldConfig struct {
		Defaults  Field      `json:"defaults"`
		Overrides []Override `json:"overrides"`
	}
	// Field is how one column or series looks.
	Field struct {
		Unit       string      `json:"unit"`
		Min        *float64    `json:"min,omitempty"`
		Max        *float64    `json:"max,omitempty"`
		Decimals   *int        `json:"decimals,omitempty"`
		NoValue    string      `json:"noValue,omitempty"`
		Color      *Color      `json:"color,omitempty"`
		Thresholds *Thresholds `json:"thresholds,omitempty"`
		Mappings   []Mapping   `json:"mappings,omitempty"`
		Custom     *Custom     `json:"custom,omitempty"`
		Links      []Link      `json:"links,omitempty"`
	}
	// Color says where the colour comes from.
	Color struct {
		Mode  string `json:"mode"`
		Fixed string `json:"fixedColor,omitempty"`
	}
	// Thresholds colour what passes them.
	Thresholds struct {
		Mode  string `json:"mode"`
		Steps []Step `json:"steps"`
	}
	// Step is one of Thresholds; the first has no value.
	Step struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"`
	}
	// Mapping puts words for values.
	Mapping struct {
		Type    string            `json:"type"` // value
		Options map[string]Mapped `json:"options"`
	}
	// Mapped is the word for a value.
	Mapped struct {
		Text  string `json:"text"`
		Color string `json:"color"`
		Index int    `json:"index"`
	}
	// Custom is what one type of panel alone understands.
	Custom struct {
		DrawStyle       string     `json:"drawStyle,omitempty"`
		LineWidth       *int       `json:"lineWidth,omitempty"`
		FillOpacity     *int       `json:"fillOpacity,omitempty"`
		ShowPoints      string     `json:"showPoints,omitempty"`
		SpanNulls       *bool      `json:"spanNulls,omitempty"`
		Stacking        *Stacking  `json:"stacking,omitempty"`
		ThresholdsStyle *ModeOf    `json:"thresholdsStyle,omitempty"`
		CellOptions     *CellStyle `json:"cellOptions,omitempty"`
	}
	// Stacking puts series on each other.
	Stacking struct {
		Mode  string `json:"mode"`
		Group string `json:"group"`
	}
	// ModeOf is a setting that has a mode only.
	ModeOf struct {
		Mode string `json:"mode"`
	}
	// CellStyle is how a table's cell is coloured.
	CellStyle struct {
		Type string `json:"type"`
	}
	// Override is how one column differs.
	Override struct {
		Matcher    Matcher    `json:"matcher"`
		Properties []Property `json:"properties"`
	}
	// Matcher names the column.
	Matcher struct {
		ID      string `json:"id"` // byName
		Options string `json:"options"`
	}
	// Property is one setting of an Override.
	Property struct {
		ID    string `json:"id"`
		Value any    `json:"value"`
	}
	// Options are those of the panel's type.
	Options struct {
		Reduce      *Reduce  `json:"reduceOptions,omitempty"`
		ColorMode   string   `json:"colorMode,omitempty"`
		GraphMode   string   `json:"graphMode,omitempty"`
		JustifyMode string   `json:"justifyMode,omitempty"`
		Orientation string   `json:"orientation,omitempty"`
		TextMode    string   `json:"textMode,omitempty"`
		WideLayout  *bool    `json:"wideLayout,omitempty"`
		MergeValues *bool    `json:"mergeValues,omitempty"`
		ShowValue   string   `json:"showValue,omitempty"`
		AlignValue  string   `json:"alignValue,omitempty"`
		RowHeight   float64  `json:"rowHeight,omitempty"`
		Legend      *Legend  `json:"legend,omitempty"`
		Tooltip     *Tooltip `json:"tooltip,omitempty"`
		ShowHeader  *bool    `json:"showHeader,omitempty"`
		CellHeight  string   `json:"cellHeight,omitempty"`
	}
	// Reduce makes one value of a series.
	Reduce struct {
		Calcs  []string `json:"calcs"`
		Fields string   `json:"fields"`
		Values bool     `json:"values"`
	}
	// Legend is where the names stand.
	Legend struct {
		DisplayMode string `json:"displayMode"`
		Placement   string `json:"placement"`
		ShowLegend  bool   `json:"showLegend"`
	}
	// Tooltip is what the pointer shows.
	Tooltip struct {
		Mode string `json:"mode"`
		Sort string `json:"sort"`
	}
	// Transformation is done to a table before it is drawn: merge, or organize.
	Transformation struct {
		ID      string   `json:"id"`
		Options Organize `json:"options"`
	}
	// Organize leaves columns out, orders and renames them.
	Organize struct {
		Exclude map[string]bool   `json:"excludeByName,omitempty"`
		Index   map[string]int    `json:"indexByName,omitempty"`
		Rename  map[string]string `json:"renameByName,omitempty"`
	}
)
