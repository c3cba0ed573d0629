package hang

import (
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hypervigil/hypervigil/internal/lab/kdctest"
	programs "github.com/hypervigil/hypervigil/internal/peers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTwelveWaysOfHanging has SQL Servers, hosts, guests and a cluster hang for a minute, or as long as HANG_FOR says
// (make soak-hang: ten), and looks at every answer and at what is left. Under the race detector it is two or three
// answers of each peer, their reasons and what is left: see Options.AnyTime.
func TestTwelveWaysOfHanging(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a SYN that stays unanswered needs Linux")
	}
	o := Options{Dir: t.TempDir(), For: time.Minute, Every: 2 * time.Second}
	if s := os.Getenv("HANG_FOR"); s != "" {
		var err error
		if o.For, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if underRace {
		// Twice at least, for a stream of the diagnostics that was asked for once waits for minutes to be asked again.
		o.Every, o.Timeout, o.AnyTime = 5*time.Second, 2500*time.Millisecond, true
		o.For = 2 * o.Every
	}
	o.Realm = realm(t)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, trouble := range r.Troubles {
		t.Error(trouble)
	}
	if least := r.Targets * int(o.For/(3*o.Every)); r.Scrapes < least {
		t.Errorf("%d scrapes of %d targets, want %d at least", r.Scrapes, r.Targets, least)
	}
	t.Logf("%d scrapes of %d targets, %d asked for again; after the deadline by the clock: median %v, 99th percentile %v, longest %v",
		r.Scrapes, r.Targets, r.Late, r.Wall[len(r.Wall)/2], r.Wall[len(r.Wall)*99/100], r.Wall[len(r.Wall)-1])
}

// realm starts a real KDC; nil where there is none, which is on record as skipped, and the others hang without it.
func realm(t *testing.T) *Realm {
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local"} {
		there := false
		t.Run("Kerberos needs "+program, func(t *testing.T) {
			programs.Need(t, program)
			there = true
		})
		if !there {
			return nil
		}
	}
	k := kdctest.Start(t)
	r := &Realm{Name: k.Name, Address: k.Address, Account: "hypervigil", Password: "Correct-Horse-1"}
	k.Add(r.Account, r.Password)
	var err error
	if r.Services, err = os.ReadFile(k.Keytab(ServiceNames()...)); err != nil {
		t.Fatal(err)
	}
	return r
}

// attempts is how often the measurement of a neighbour may be repeated. What other programs do to the machine in the
// meantime can be larger than the bound and is as often in one direction as in the other; what a peer that hangs does to
// its neighbours is there each time. So the measurement is made again, with more pairs, rather than the bound loosened.
const attempts = 4

// TestAHungNeighbourCostsNothing measures what a hung SQL Server and a hung host cost a healthy SQL Server, host and
// guest. Tests of this package do not run at the same time: both are about time.
func TestAHungNeighbourCostsNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a SYN that stays unanswered needs Linux")
	}
	if underRace {
		t.Skip("the race detector takes several times what is measured; the same test runs without it")
	}
	best := map[string]float64{}
	for attempt := 1; attempt <= attempts; attempt++ {
		list, err := Neighbours(t.Context(), NeighbourOptions{Dir: t.TempDir(), Pairs: 60 * attempt})
		if err != nil {
			t.Fatal(err)
		}
		within := true
		for _, n := range list {
			t.Logf("attempt %d, %s hangs: %s takes %v alone, %v beside it, ratio %.3f of %d scrapes", attempt, n.Hung, n.Healthy, n.Alone, n.Beside, n.Ratio, n.Scrapes)
			which := n.Hung + " beside " + n.Healthy
			if was, ok := best[which]; !ok || n.Ratio < was {
				best[which] = n.Ratio
			}
			within = within && best[which] <= MostSlowdown
		}
		if within {
			return
		}
	}
	for which, ratio := range best {
		if ratio > MostSlowdown {
			t.Errorf("a hung %s takes %.3f of its time, and did so or worse in every attempt; at most %.2f is allowed", which, ratio, MostSlowdown)
		}
	}
}
