# Reads what `abidiff --leaf-changes-only` reports. Exits 0 when all of it is
# additions: new functions, and members at the end of the structs named in the
# file given (grows.txt); else prints what is not, and exits 1.
use strict;
use warnings;

open my $list, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
my %grows = map { chomp; ($_ => 1) } grep { !/^#/ } <$list>;
my ($summaries, $breaks, $size) = (0, 0, undef);

sub bad {
  print "$_[0]\n";
  $breaks++;
}

while (my $line = <STDIN>) {
  chomp $line;
  next if $line =~ /^\s*$/;
  if ($line =~ /^(?:Leaf changes|Changed leaf types) summary:/) {
    $summaries++;
  } elsif ($line =~ /^Removed\/Changed\/Added \w+ summary: (\d+) Removed, (\d+) Changed/) {
    $summaries++;
    bad($line) if $1 != 0 || $2 != 0;
  } elsif ($line =~ /^'struct (\w+)(?: at [^']*)?' changed:$/) {
    $size = undef;
    bad($line) unless $grows{$1};
  } elsif ($line =~ /^  type size changed from (\d+) to (\d+) \(in bits\)$/) {
    $size = $1;
    bad($line) if $2 < $1;
  } elsif ($line =~ /^  \d+ data member insertions?:$/) {
    bad("$line without a larger size") unless defined $size;
  } elsif ($line =~ /^    '.*', at offset (\d+) \(in bits\)/ && defined $size) {
    # The last word may have had room left.
    bad($line) if $1 <= $size - 64;
  } else {
    bad($line);
  }
}
bad("this is no report of abidiff") if $summaries != 4;
exit($breaks == 0 ? 0 : 1);
