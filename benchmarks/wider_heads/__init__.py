"""Ten more candidates for the genre head, with more to go by than the 200 values.

Written down before any of them was scored. The recipe is the shipped head's ("mean of two lda, in
logits", `training.shipped.candidates`) with other values in place of MusiCNN's 200, or a mean with
it. So are the folds: ten, apart by artist, drawn three times over train and valid together.

Of public rows and windows of audio, scored against the shipped head on both, as it was:

1. ``pooled``: the 753 pooled values in place of the 200. Of windows likewise: pairs of
   neighbouring values of the 1506, first all means, then all maxima, averaged.
2. ``200 + pooled``: both side by side.
3. ``mean of 200 and pooled``: the shipped head and 1, their logits averaged.

Of audio alone (556 tracks), scored on the windows of the 445 whole tracks, against the shipped
recipe fitted to the same windows of audio alone:

4. ``MTT``: the 200 values of MusiCNN's network of the MagnaTagATune data in place of the 200.
5. ``200 + MTT``: both side by side.
6. ``CED``: the 192 values under content's last layer in place of the 200.
7. ``200 + CED``: both side by side.
8. ``tuned``: MusiCNN's last convolution and dense layer, with a softmax of ten genres on top, tuned
   from the checkpoint with mixup and SpecAugment; every genre weighs the same. In the folds of the
   first drawing alone, for each fold takes minutes.

With the shipped head, fitted to all that it is fitted to; scored on the windows of the 445 whole
tracks against the shipped head alone:

9. ``mean of shipped and CED``: the shipped head and 6, their logits averaged.
10. ``mean of shipped and tuned``: the shipped head and 8, their logits averaged, each tempered
    before. In the folds of the first drawing alone.

A candidate wins if its score is higher than that of what it is compared with by more than one
standard error of the difference, with artists as what is drawn, and it finds at least 70 % of every
genre. Where there is only audio, a genre is counted over all 556 tracks, for 10 whole tracks say
little of disco. With many winners, the plainest within one standard error of the best. Valid is
scored after the folds, fitted to train alone, once for each of the ten; it chooses nothing.

Changed after the first scores: 470 of the 753 pooled values are of filters without weights, so they
scatter by rounding alone (1e-12 to 1e-5), and not alike in public rows and in our windows. With
them, scaled to the scatter of the others, 1 to 3 got 62 to 72 %. They are left out: 283 are left.
"""
