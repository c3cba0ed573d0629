package preview

import (
	_ "embed" // the page
	"html/template"
	"time"
)

//go:embed page.html.tmpl
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

type (
	page struct {
		Title, Description string
		From, To           time.Time
		Links              []pageLink
		Chosen             []chosen
		Panels             []drawn
		Empty              int // panels without data
	}
	pageLink struct {
		URL, Title string
		Here       bool
	}
	// chosen is a variable's value.
	chosen struct{ Label, Value string }
	// drawn is a panel; one of the last five is set, or none for a heading.
	drawn struct {
		Title, Description, Type string
		X, Y, W, H               int
		Error, Nothing           string
		Stats                    []statValue
		Table                    *tableData
		Plot                     *plotData
		Bars                     *barData
	}
)
