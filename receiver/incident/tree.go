package incident

import "iter"

// ordered is a key that can be compared with another: negative before it, positive after it, zero the same.
type ordered[K any] interface{ compare(K) int }

// tree is a sorted map that is never changed: put and remove return another one, which shares everything with the old but
// the path to what differs. So a State is a value however much it holds, and a step costs what it touches: the depth of an
// AVL tree is at most 1.44 log2 of its size (Knuth, The Art of Computer Programming 3, 6.2.3). The zero value is empty.
type tree[K ordered[K], V any] struct {
	root *node[K, V]
	n    int
}

type node[K ordered[K], V any] struct {
	key         K
	value       V
	left, right *node[K, V]
	height      int
}

func (t tree[K, V]) get(k K) (V, bool) {
	for n := t.root; n != nil; {
		switch c := k.compare(n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.value, true
		}
	}
	var none V
	return none, false
}

// put is the tree with a value for a key, new or in place of the old one.
func (t tree[K, V]) put(k K, v V) tree[K, V] {
	root, added := t.root.put(k, v)
	if added {
		t.n++
	}
	t.root = root
	return t
}

// remove is the tree without a key.
func (t tree[K, V]) remove(k K) tree[K, V] {
	root, removed := t.root.remove(k)
	if removed {
		t.n--
		t.root = root
	}
	return t
}

// all yields everything in the order of the keys.
func (t tree[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.root.each(yield) }
}

// from yields what is not before a key, in the order of the keys.
func (t tree[K, V]) from(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.root.since(k, yield) }
}

// first is the least key.
func (t tree[K, V]) first() (K, bool) {
	for k := range t.all() {
		return k, true
	}
	var none K
	return none, false
}

func (n *node[K, V]) put(k K, v V) (*node[K, V], bool) {
	if n == nil {
		return &node[K, V]{key: k, value: v, height: 1}, true
	}
	c, m, added := k.compare(n.key), *n, false
	switch {
	case c < 0:
		m.left, added = n.left.put(k, v)
	case c > 0:
		m.right, added = n.right.put(k, v)
	default:
		m.key, m.value = k, v
		return &m, false
	}
	return m.balanced(), added
}

func (n *node[K, V]) remove(k K) (*node[K, V], bool) {
	if n == nil {
		return nil, false
	}
	m, removed := *n, true
	switch c := k.compare(n.key); {
	case c < 0:
		m.left, removed = n.left.remove(k)
	case c > 0:
		m.right, removed = n.right.remove(k)
	case n.left == nil:
		return n.right, true
	case n.right == nil:
		return n.left, true
	default:
		next := n.right
		for next.left != nil {
			next = next.left
		}
		m.key, m.value = next.key, next.value
		m.right, _ = n.right.remove(next.key)
	}
	if !removed {
		return n, false
	}
	return m.balanced(), true
}

func (n *node[K, V]) depth() int {
	if n == nil {
		return 0
	}
	return n.height
}

// balanced is a node that nobody else has yet, rotated so that the depths of its sides differ by one at most.
func (n *node[K, V]) balanced() *node[K, V] {
	switch d := n.left.depth() - n.right.depth(); {
	case d > 1:
		if n.left.left.depth() < n.left.right.depth() {
			n.left = n.left.turnedLeft()
		}
		return n.turnedRight()
	case d < -1:
		if n.right.right.depth() < n.right.left.depth() {
			n.right = n.right.turnedRight()
		}
		return n.turnedLeft()
	}
	n.height = 1 + max(n.left.depth(), n.right.depth())
	return n
}

// turnedLeft is the node with its right child over it; both are copies.
func (n *node[K, V]) turnedLeft() *node[K, V] {
	low, high := *n, *n.right
	low.right = high.left
	low.height = 1 + max(low.left.depth(), low.right.depth())
	high.left = &low
	high.height = 1 + max(high.left.depth(), high.right.depth())
	return &high
}

// turnedRight is the node with its left child over it; both are copies.
func (n *node[K, V]) turnedRight() *node[K, V] {
	low, high := *n, *n.left
	low.left = high.right
	low.height = 1 + max(low.left.depth(), low.right.depth())
	high.right = &low
	high.height = 1 + max(high.left.depth(), high.right.depth())
	return &high
}

func (n *node[K, V]) each(yield func(K, V) bool) bool {
	return n == nil || n.left.each(yield) && yield(n.key, n.value) && n.right.each(yield)
}

func (n *node[K, V]) since(k K, yield func(K, V) bool) bool {
	switch {
	case n == nil:
		return true
	case n.key.compare(k) < 0:
		return n.right.since(k, yield)
	}
	return n.left.since(k, yield) && yield(n.key, n.value) && n.right.each(yield)
}
