package render_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/render"
	"github.com/hypervigil/hypervigil/internal/peers"
)

// measure runs in a browser beside the pages, never in them: it opens what is folded, and tells where a page is wider than its
// window, and where a text of a picture leaves the picture or lies on another text.
const measure = `
addEventListener("load", () => {
	const found = [];
	for (const frame of document.querySelectorAll("iframe")) {
		const page = frame.contentDocument, width = frame.clientWidth;
		for (const d of page.querySelectorAll("details")) d.open = true;
		if (page.documentElement.scrollWidth > width) found.push(frame.title + ": " + page.documentElement.scrollWidth + " px wide");
		for (const svg of page.querySelectorAll("svg.picture")) {
			const where = frame.title + ", " + svg.getAttribute("aria-labelledby").split(" ")[0], box = svg.viewBox.baseVal, seen = [];
			for (const text of svg.querySelectorAll("text")) {
				const b = text.getBBox(), t = text.textContent;
				if (!t || !b.width) found.push(where + ": an empty text");
				if (b.x < 0 || b.x + b.width > box.width || b.y < 0 || b.y + b.height > box.height + 4) found.push(where + ": " + t + " leaves the picture");
				for (const [other, o] of seen) {
					if (b.x + 1 < o.x + o.width && o.x + 1 < b.x + b.width && b.y + 5 < o.y + o.height && o.y + 5 < b.y + b.height) found.push(where + ": " + t + " lies on " + other);
				}
				seen.push([t, b]);
			}
			found.texts = (found.texts || 0) + seen.length;
		}
	}
	document.getElementById("result").textContent = JSON.stringify({texts: found.texts, found: [...new Set(found)]});
});
`

// TestThePageFitsItsWindow in a real browser: no page is wider than its window, from a telephone to a desk, and no word of a
// picture is hidden by another one.
func TestThePageFitsItsWindow(t *testing.T) {
	t.Parallel()
	browser := peers.Need(t, "chromium")
	dir := t.TempDir()
	var frames strings.Builder
	for name, r := range map[string]drill.Report{"sample": sample(), "crowded": crowded()} {
		page := html.EscapeString(written(t, render.HTML, r))
		for _, width := range []int{380, 768, 1400} {
			fmt.Fprintf(&frames, `<iframe title="%s at %d" style="width:%dpx;height:900px;border:0" srcdoc="%s"></iframe>`, name, width, width, page)
		}
	}
	file := filepath.Join(dir, "measure.html")
	doc := `<!DOCTYPE html><meta charset="utf-8"><script>` + measure + `</script><pre id="result"></pre>` + frames.String()
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file).Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	_, result, _ := strings.Cut(string(out), `<pre id="result">`)
	result, _, _ = strings.Cut(result, "</pre>")
	var got struct {
		Texts int
		Found []string
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(result)), &got); err != nil {
		t.Fatalf("nothing was measured: %v: %.300s", err, out)
	}
	if got.Texts < 1000 {
		t.Errorf("%d texts of pictures were looked at; there are more", got.Texts)
	}
	for _, f := range got.Found {
		t.Error(f)
	}
}

// crowded has a story in which much happens at once, with long words, at its beginning, its end and in between.
func crowded() drill.Report {
	t := monitored(0, "default")
	for i := range 60 {
		at := float64(i*i) / 90
		t.Timeline = append(
			t.Timeline,
			drill.Moment{AtSeconds: at, Event: "owner changed", Detail: "the cluster moved the group from HV1 to HV2"},
			drill.Moment{AtSeconds: at * 1.03, Event: "command", Detail: "MSCluster_ResourceGroup.MoveToNewNodeParams with a context that is explicit and long"},
			drill.Moment{AtSeconds: at * 1.1, Event: fmt.Sprintf("guard G%d", i%36+1), Detail: "hold: the group has not settled"},
		)
	}
	t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: 400, Event: "escalated", Detail: "a person is needed"}, drill.Moment{AtSeconds: 400.1, Event: "alert fires again", Detail: ""})
	for i := range 6 {
		t.Timeline = append(t.Timeline, drill.Moment{AtSeconds: float64(i), Event: "SQL Server down", Detail: fmt.Sprintf("A_VERY_LONG_INSTANCE_NAME_%d", i)})
	}
	r := drill.Report{Trials: []drill.Trial{t, powerOff(), monitored(1, "default"), monitored(0, "white-paper"), monitored(1, "white-paper")}}
	r.Trials[4].SQLDownSeconds = f(1859.1) // what leaves no room for the others
	nothing := hostCluster(0)
	nothing.Timeline = nothing.Timeline[:1:1]
	nothing.Timeline = append(nothing.Timeline, drill.Moment{Event: "SQL Server down", Detail: "MSSQLSERVER"})
	r.Trials = append(r.Trials, nothing)
	for n := range 30 { // marks everywhere, and not in a row
		g := drill.Given{Name: "a parameter", Sets: []string{drill.DetectionFigure}}
		if n%3 > 0 {
			g.Sets = []string{drill.DownFigure, drill.StagesFigure}
		}
		r.Given = append(r.Given, g)
	}
	return r
}
