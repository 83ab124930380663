package line

// Removing returns on how many nodes removals of the lock are noted as under way.
func (l *Lock) Removing() (n int) {
	for _, node := range l.Nodes {
		if node.Remains.Latest(l.LineKey()) > 0 {
			n++
		}
	}
	return n
}
