"""How far somebody is on a guided tour: remembered per account, so that it can be left and taken up again."""

from datong.sharing.tours.tours import TourAct, TourProgress, Tours, TourState

__all__ = ["TourAct", "TourProgress", "TourState", "Tours"]
