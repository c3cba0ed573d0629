package incident

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// number is a key of the tests.
type number int

func (n number) compare(m number) int { return int(n - m) }

func contents(t tree[number, int]) map[number]int {
	all := map[number]int{}
	for k, v := range t.all() {
		all[k] = v
	}
	return all
}

// deep is the depth of a tree, computed and not remembered; -1 where an AVL tree's rule is broken.
func deep(n *node[number, int]) int {
	if n == nil {
		return 0
	}
	l, r := deep(n.left), deep(n.right)
	if l < 0 || r < 0 || l-r > 1 || r-l > 1 || n.height != 1+max(l, r) {
		return -1
	}
	return 1 + max(l, r)
}

// TestTreeIsASortedMapThatNeverChanges plays random changes against a map, and looks at every earlier tree once more at the
// end.
func TestTreeIsASortedMapThatNeverChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var now tree[number, int]
		model := map[number]int{}
		type moment struct {
			t    tree[number, int]
			want map[number]int
		}
		var history []moment
		for step := range 400 {
			k := number(r.IntN(120))
			if r.IntN(5) < 2 {
				now = now.remove(k)
				delete(model, k)
			} else {
				now = now.put(k, step)
				model[k] = step
			}
			if now.n != len(model) {
				t.Fatalf("seed %d, step %d: it counts %d, want %d", seed, step, now.n, len(model))
			}
			d := deep(now.root)
			if most := 1.4405 * math.Log2(float64(len(model)+2)); d < 0 || float64(d) > most {
				t.Fatalf("seed %d, step %d: depth %d of %d, want at most %.1f", seed, step, d, len(model), most)
			}
			v, ok := now.get(k)
			if want, is := model[k]; ok != is || v != want {
				t.Fatalf("seed %d, step %d: get(%d) = %d %t, want %d %t", seed, step, k, v, ok, want, is)
			}
			history = append(history, moment{now, maps.Clone(model)})
		}
		keys := slices.Sorted(maps.Keys(model))
		var got []number
		for k := range now.all() {
			got = append(got, k)
		}
		if diff := cmp.Diff(keys, got); diff != "" {
			t.Fatalf("seed %d: order (-want +got):\n%s", seed, diff)
		}
		for _, from := range []number{-1, 0, 50, 119, 200} {
			got = nil
			for k := range now.from(from) {
				got = append(got, k)
			}
			at, _ := slices.BinarySearch(keys, from)
			if !slices.Equal(got, keys[at:]) {
				t.Fatalf("seed %d: from %d = %v, want %v", seed, from, got, keys[at:])
			}
		}
		if k, ok := now.first(); ok != (len(keys) > 0) || ok && k != keys[0] {
			t.Fatalf("seed %d: first = %d %t", seed, k, ok)
		}
		for step, m := range history {
			if got := contents(m.t); !maps.Equal(m.want, got) {
				t.Fatalf("seed %d: the tree of step %d has changed since (-then +now):\n%s", seed, step, cmp.Diff(m.want, got))
			}
		}
	}
}
